//! A receiver of events.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tranship::{Error, ErrorKind, Result};
use url::Url;

use crate::filter::EventFilter;
use crate::format::EventFormat;
use crate::retry::RetryOptions;
use crate::secret::Secret;

/// A receiver of events, and how they are sent to it.
///
/// The URL and the headers may be secret: [`Debug`](fmt::Debug) and logs have the host only.
#[non_exhaustive]
#[derive(Clone)]
pub struct Endpoint {
    url: Url,
    headers: HeaderMap,
    /// The secret that requests are signed with. They are not signed by default.
    pub secret: Option<Secret>,
    /// The format of events. That of distribution by default.
    pub format: EventFormat,
    /// Which events are sent.
    pub filter: EventFilter,
    /// How long a request may take. 10 seconds by default.
    pub timeout: Duration,
    /// When a failed delivery is tried again.
    pub retry: RetryOptions,
}

impl Endpoint {
    /// Returns an endpoint that receives events by POST to `url`.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if `url` is not a URL that begins with `http://` or `https://`, or if it has
    /// a user or a password, which would be in logs of proxies: they belong in a [header](Self::with_header).
    pub fn new(url: &str) -> Result<Self> {
        // The text is not repeated, since it may be secret.
        let url = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                let message =
                    "invalid URL of a webhook: expected one that begins with https:// or http://";
                Error::new(ErrorKind::InvalidInput, message)
            })?;
        if !url.username().is_empty() || url.password().is_some() {
            let message = "the URL of a webhook has a user or a password";
            let hint = "leave them out, and send them in headers, as Authorization: Basic and their Base64";
            return Err(Error::new(ErrorKind::InvalidInput, message).with_hint(hint));
        }
        Ok(Self {
            url,
            headers: HeaderMap::new(),
            secret: None,
            format: EventFormat::default(),
            filter: EventFilter::default(),
            timeout: Duration::from_secs(10),
            retry: RetryOptions::default(),
        })
    }

    /// Adds a header to each request.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if the name or the value is not allowed in HTTP.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self> {
        let invalid = || {
            let message =
                "invalid header of a webhook: the name or the value is not allowed in HTTP";
            Error::new(ErrorKind::InvalidInput, message)
        };
        let name: HeaderName = name.parse().map_err(|_| invalid())?;
        let mut value: HeaderValue = value.parse().map_err(|_| invalid())?;
        value.set_sensitive(true);
        self.headers.append(name, value);
        Ok(self)
    }

    /// Signs requests with `secret`.
    #[must_use]
    pub fn with_secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Sends events in `format`.
    #[must_use]
    pub fn with_format(mut self, format: EventFormat) -> Self {
        self.format = format;
        self
    }

    /// Sends the events that `filter` accepts.
    #[must_use]
    pub fn with_filter(mut self, filter: EventFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Waits up to `timeout` for the response to a request.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Tries failed deliveries again as `retry` says.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryOptions) -> Self {
        self.retry = retry;
        self
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the scheme and the host, for logs.
    pub(crate) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("origin", &self.origin())
            .field("format", &self.format)
            .field("filter", &self.filter)
            .field("timeout", &self.timeout)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_the_url_and_in_headers_are_not_printed() {
        let endpoint = Endpoint::new("https://hooks.example/SECRET?token=SECRET")
            .and_then(|endpoint| endpoint.with_header("Authorization", "SECRET"))
            .expect("an endpoint");
        let printed = format!("{endpoint:?}");
        assert!(printed.contains("https://hooks.example"), "{printed}");
        assert!(!printed.contains("SECRET"), "{printed}");
    }

    #[test]
    fn an_invalid_url_or_header_is_refused_without_repeating_it() {
        for url in [
            "",
            "SECRET",
            "ftp://SECRET",
            "file:///SECRET",
            "https://",
            "https://user:SECRET@hooks.example",
            "https://SECRET@hooks.example",
        ] {
            let error = Endpoint::new(url).expect_err(url);
            assert!(!format!("{error} {error:?}").contains("SECRET"));
        }
        let endpoint = Endpoint::new("http://localhost").expect("an endpoint");
        let error = endpoint.with_header("X-Key", "SECRET\r\nX: y");
        assert!(!format!("{:?}", error.expect_err("refused")).contains("SECRET"));
    }
}
