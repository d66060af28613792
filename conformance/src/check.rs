//! What scenarios assert. Each check says what was expected and what came, at the line that asked.

use std::fmt::Debug;
use std::future::Future;
use std::panic::Location;

use bytes::Bytes;
use tranship::{Descriptor, Error, ErrorKind, Fetcher, ReadOnlyStorage};

use crate::content::Item;
use crate::failure::{Failure, Verdict};

/// More than any scenario stores as one piece that is read whole, in bytes.
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

/// The call succeeded.
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

/// The call failed with one of `kinds`.
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

/// Both name the same content as the same media type; what else is said of it may differ.
#[track_caller]
pub(crate) fn same(what: &str, actual: &Descriptor, expected: &Descriptor) -> Verdict {
    equal(what, actual.plain(), expected.plain())
}

/// The bytes of `descriptor` in `store`, checked by their digest.
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

/// `store` has `item`, byte for byte.
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
                format!("{descriptor} is there, but exists answers false"),
            )?;
            let bytes = read(store, descriptor).await?;
            that(
                bytes == item.bytes(),
                format!("{descriptor} is read as other bytes than were pushed"),
            )
        };
        verdict.await.map_err(|failure: Failure| failure.at(at))
    }
}

/// `store` has nothing of `descriptor`, neither whole nor in part.
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
                format!("{descriptor} is not there, but exists answers true"),
            )?;
            not_found("fetching what is not there", store.fetch(descriptor).await)?;
            let part = store.fetch_range(descriptor, (0..).into()).await;
            not_found("fetching a range of what is not there", part)
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
