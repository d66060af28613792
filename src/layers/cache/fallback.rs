//! The store in place of an upstream that is down.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use crate::{Error, ErrorKind, Listing};

/// Returns whether the store is used in place of an upstream that fails with `error`. An upstream whose name is not known,
/// and one that does not respond as a registry, are down too.
pub(super) fn is_down(error: &Error) -> bool {
    error.is_retryable() || error.kind() == ErrorKind::Unavailable
}

/// Returns `listing`, or if its upstream is down or does not begin to respond within `patience`, what the store lists
/// instead.
pub(super) fn or_stored<'a, T: Send + 'a>(
    listing: Listing<'a, T>,
    patience: Duration,
    stored: impl FnOnce() -> Listing<'a, T> + Send + 'a,
) -> Listing<'a, T> {
    let listing = async move {
        let mut listing = listing.peekable();
        match tokio::time::timeout(patience, Pin::new(&mut listing).peek()).await {
            Err(_) => stored(),
            Ok(Some(Err(error))) if is_down(error) => stored(),
            Ok(_) => listing.boxed(),
        }
    };
    stream::once(listing).flatten().boxed()
}
