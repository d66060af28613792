//! A URL from which content can be fetched without its backend.

use std::fmt;

/// A URL that gives access to content for a limited time: [`Backend::direct_url`](crate::Backend::direct_url) returns it.
///
/// Any client that has it can fetch the content, so its [`Debug`](fmt::Debug) text ends before the query, which contains
/// the signature.
///
/// ```
/// use tranship::DirectUrl;
///
/// let url = DirectUrl::new("https://bucket.example/blobs/sha256/44?signature=SECRET");
/// assert_eq!(format!("{url:?}"), r#"DirectUrl("https://bucket.example/blobs/sha256/44?…")"#);
/// assert!(url.as_str().ends_with("SECRET"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct DirectUrl(String);

impl DirectUrl {
    /// Returns `url`, which begins with `http://` or `https://`, as a direct URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// Returns the whole URL, which is secret.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DirectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = match self.0.split_once('?') {
            Some((before, _)) => format!("{before}?…"),
            None => self.0.clone(),
        };
        f.debug_tuple("DirectUrl").field(&shown).finish()
    }
}
