//! The store in place of an upstream that is down.

use std::future::ready;
use std::pin::Pin;
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
        let mut listing = listing.peekable();
        let error = match tokio::time::timeout(patience, Pin::new(&mut listing).peek()).await {
            Err(_) => stalled(patience),
            Ok(Some(Err(error))) if is_down(error) => match listing.next().await {
                Some(Err(error)) => error,
                // A stream that was peeked at returns the same item.
                Some(Ok(_)) | None => return listing.boxed(),
            },
            Ok(_) => return listing.boxed(),
        };
        let mut stored = stored().peekable();
        match Pin::new(&mut stored).peek().await {
            None => stream::once(ready(Err(error))).boxed(),
            Some(_) => stored.boxed(),
        }
    };
    stream::once(listing).flatten().boxed()
}
