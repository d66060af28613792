//! The store in place of an upstream that is down.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use super::stall::stalled;
use crate::{Error, ErrorKind, Listing};

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
        let mut listing = listing.fuse();
        let error = match tokio::time::timeout(patience, listing.next()).await {
            Err(_) => stalled(patience),
            Ok(Some(Err(error))) if is_down(&error) => error,
            Ok(first) => return stream::iter(first).chain(listing).boxed(),
        };
        let mut stored = stored().fuse();
        let first = stored.next().await.unwrap_or(Err(error));
        stream::iter([first]).chain(stored).boxed()
    };
    stream::once(listing).flatten().boxed()
}
