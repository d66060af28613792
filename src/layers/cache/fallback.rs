//! The store in place of an upstream that is down.

use std::pin::Pin;

use futures_util::{StreamExt as _, stream};

use crate::{Error, Listing};

/// Whether the store is used in place of an upstream that fails with `error`.
pub(super) fn is_down(error: &Error) -> bool {
    error.is_retryable()
}

/// Returns `listing`, or if its upstream is down, what the store lists instead.
pub(super) fn or_stored<'a, T: Send + 'a>(
    listing: Listing<'a, T>,
    stored: impl FnOnce() -> Listing<'a, T> + Send + 'a,
) -> Listing<'a, T> {
    let listing = async move {
        let mut listing = listing.peekable();
        match Pin::new(&mut listing).peek().await {
            Some(Err(error)) if is_down(error) => stored(),
            _ => listing.boxed(),
        }
    };
    stream::once(listing).flatten().boxed()
}
