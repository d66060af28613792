//! Assertions of scenarios. The failure of each names the expected and the actual value, and the line of the caller.

use std::fmt::Debug;
use std::future::Future;
use std::panic::Location;

use bytes::Bytes;
use tranship::{Descriptor, Error, ErrorKind, Fetcher, ReadOnlyStorage};

use crate::content::Item;
use crate::failure::{Failure, Verdict};

/// The largest content that a scenario reads as a whole, in bytes.
const READ_LIMIT: u64 = 16 * 1024 * 1024;

#[track_caller]
pub(crate) fn that(condition: bool, message: impl Into<String>) -> Verdict {
    if condition {
        return Ok(());
    }
    Err(Failure::new(message))
}

#[track_caller]
pub(crate) fn equal<A, B>(what: &str, actual: A, expected: B) -> Verdict
where
    A: PartialEq<B> + Debug,
    B: Debug,
{
    if actual == expected {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{what}\n  expected {}\n  but got  {}",
        shortened(&expected),
        shortened(&actual)
    )))
}

/// Checks that the call succeeded.
#[track_caller]
pub(crate) fn succeeds<T>(what: &str, result: Result<T, Error>) -> Verdict<T> {
    match result {
        Ok(value) => Ok(value),
        Err(error) => Err(Failure::caused(
            &format!("{what} should have succeeded"),
            &error,
        )),
    }
}

/// Checks that the call failed with one of `kinds`.
#[track_caller]
pub(crate) fn refused<T>(what: &str, result: Result<T, Error>, kinds: &[ErrorKind]) -> Verdict {
    match result {
        Ok(_) => Err(Failure::new(format!(
            "{what} succeeded, but should fail with {kinds:?}"
        ))),
        Err(error) if kinds.contains(&error.kind()) => Ok(()),
        Err(error) => Err(Failure::caused(
            &format!("{what} should fail with {kinds:?}, not"),
            &error,
        )),
    }
}

#[track_caller]
pub(crate) fn not_found<T>(what: &str, result: Result<T, Error>) -> Verdict {
    refused(what, result, &[ErrorKind::NotFound])
}

/// Checks that both have the same digest, size and media type; other fields may differ.
#[track_caller]
pub(crate) fn same(what: &str, actual: &Descriptor, expected: &Descriptor) -> Verdict {
    equal(what, actual.plain(), expected.plain())
}

/// Reads the bytes of `descriptor` in `store`, and checks their digest.
#[track_caller]
pub(crate) fn read<'a>(
    store: &'a dyn Fetcher,
    descriptor: &'a Descriptor,
) -> impl Future<Output = Verdict<Bytes>> + Send + 'a {
    let at = Location::caller();
    async move {
        let content = async { store.fetch(descriptor).await?.bytes(READ_LIMIT).await };
        content.await.map_err(|error| {
            Failure::caused(&format!("reading {descriptor} failed"), &error).at(at)
        })
    }
}

/// Checks that `store` has `item`, byte for byte.
#[track_caller]
pub(crate) fn holds<'a>(
    store: &'a dyn ReadOnlyStorage,
    item: &'a Item,
) -> impl Future<Output = Verdict> + Send + 'a {
    let at = Location::caller();
    async move {
        let descriptor = item.descriptor();
        let verdict = async {
            that(
                store.exists(descriptor).await?,
                format!("{descriptor} is stored, but exists returns false"),
            )?;
            let bytes = read(store, descriptor).await?;
            that(
                bytes == item.bytes(),
                format!("the bytes of {descriptor} differ from those that were pushed"),
            )
        };
        verdict.await.map_err(|failure: Failure| failure.at(at))
    }
}

/// Checks that `store` does not have the content of `descriptor`, neither whole nor in part.
#[track_caller]
pub(crate) fn lacks<'a>(
    store: &'a dyn ReadOnlyStorage,
    descriptor: &'a Descriptor,
) -> impl Future<Output = Verdict> + Send + 'a {
    let at = Location::caller();
    async move {
        let verdict = async {
            that(
                !store.exists(descriptor).await?,
                format!("{descriptor} is not stored, but exists returns true"),
            )?;
            not_found("fetching absent content", store.fetch(descriptor).await)?;
            let part = store.fetch_range(descriptor, (0..).into()).await;
            not_found("fetching a range of absent content", part)
        };
        verdict.await.map_err(|failure: Failure| failure.at(at))
    }
}

fn shortened(value: &impl Debug) -> String {
    const LIMIT: usize = 600;
    let text = format!("{value:?}");
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
