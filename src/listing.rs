//! Lists that come in pages.

use futures_core::Stream;

use crate::error::Result;

/// A stream of listed items, which asks for the next page only when it is polled for it, and stops
/// when it is dropped.
pub type Listing<'a, T> = std::pin::Pin<Box<dyn Stream<Item = Result<T>> + Send + 'a>>;

/// Where a listing begins, and how it is fetched.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListOptions {
    /// Only what follows this in ASCII order is listed. It need not exist.
    pub last: Option<String>,
    /// How many items to ask for at a time: a hint, which a backend without pages ignores.
    pub page_size: Option<usize>,
}

impl ListOptions {
    /// Lists only what follows `last`.
    #[must_use]
    pub fn with_last(mut self, last: impl Into<String>) -> Self {
        self.last = Some(last.into());
        self
    }

    /// Asks for `page_size` items at a time.
    #[must_use]
    pub fn with_page_size(mut self, page_size: usize) -> Self {
        self.page_size = Some(page_size);
        self
    }
}
