//! The store in place of an upstream that is down.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use super::Cache;
use super::lists::ListKey;
use super::stall::stalled;
use crate::{Backend, Error, ErrorKind, Listing, Result};

/// Returns whether the store is used in place of an upstream that fails with `error`. An upstream whose name is not known,
/// and one that does not respond as a registry, are down too.
pub(super) fn is_down(error: &Error) -> bool {
    error.is_retryable() || error.kind() == ErrorKind::Unavailable
}

/// Returns `listing`, or if its upstream is down or does not begin to respond within `patience`, what the store lists
/// instead. If the store lists nothing, that does not mean that there is nothing: the listing fails as the upstream does.
pub(super) fn or_stored<'a, T: Send + 'a>(
    listing: Listing<'a, T>,
    patience: Duration,
    stored: impl FnOnce() -> Listing<'a, T> + Send + 'a,
) -> Listing<'a, T> {
    let listing = async move {
        match begin(listing, patience).await {
            Ok((first, rest)) => stream::iter(first).chain(rest).boxed(),
            Err(error) => {
                let mut stored = stored().fuse();
                let first = stored.next().await.unwrap_or(Err(error));
                stream::iter([first]).chain(stored).boxed()
            }
        }
    };
    stream::once(listing).flatten().boxed()
}

/// Waits for the first item of `listing`, and returns it with the rest.
///
/// # Errors
/// If the upstream is down.
async fn begin<'a, T: Send + 'a>(
    listing: Listing<'a, T>,
    patience: Duration,
) -> Result<(Option<Result<T>>, Listing<'a, T>)> {
    let mut listing = listing.fuse();
    match tokio::time::timeout(patience, listing.next()).await {
        Err(_) => Err(stalled(patience)),
        Ok(Some(Err(error))) if is_down(&error) => Err(error),
        Ok(first) => Ok((first, listing.boxed())),
    }
}

impl<U: Backend + 'static, S: Backend + 'static> Cache<U, S> {
    /// Returns the list `key` as [`or_stored`] does, and remembers whether it is empty, and whether it may be out of date.
    pub(super) fn list_or_stored<'a, T: Send + 'a>(
        &'a self,
        key: ListKey,
        listing: Listing<'a, T>,
        stored: impl FnOnce() -> Listing<'a, T> + Send + 'a,
    ) -> Listing<'a, T> {
        let listing = async move {
            let (name, lists) = (self.name(), &self.shared.lists);
            if lists.is_fresh(name, &key) {
                return stream::empty().boxed();
            }
            let patience = match lists.is_empty(name, &key) {
                true => self.shared.options.patience,
                false => self.shared.options.stall_timeout,
            };
            let begun = lists.begin();
            match begin(listing, patience).await {
                Ok((first, rest)) => {
                    if !matches!(first, Some(Err(_))) {
                        lists.answered(name, &key, begun, first.is_none());
                    }
                    stream::iter(first).chain(rest).boxed()
                }
                Err(_) if lists.extend(name, &key) => stream::empty().boxed(),
                Err(error) => {
                    let mut stored = stored().fuse();
                    let first = stored.next().await;
                    if matches!(first, Some(Ok(_))) {
                        lists.listed_stored(name, &key);
                    }
                    let first = first.unwrap_or(Err(error));
                    stream::iter([first]).chain(stored).boxed()
                }
            }
        };
        stream::once(listing).flatten().boxed()
    }
}
