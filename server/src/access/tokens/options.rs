//! The options of tokens.

use std::time::Duration;

use tranship::{Error, ErrorKind, Result};
use url::Url;

use crate::access::public_url;

/// The shortest lifetime of a token. Clients assume it where a token has a shorter one.
const MIN_LIFETIME: Duration = Duration::from_secs(60);

/// Options of the tokens that a server issues.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct TokenOptions {
    /// The URL at which clients reach the server. By default it is taken from each request: the name from its `Host`
    /// header, and `https` if the connection, or that to the proxy in front of the server, uses TLS.
    pub public_url: Option<Url>,
    /// How long a token is valid. Five minutes by default.
    pub lifetime: Duration,
    /// How long a refresh token is valid. 90 days by default.
    pub refresh_lifetime: Duration,
}

impl Default for TokenOptions {
    fn default() -> Self {
        Self {
            public_url: None,
            lifetime: Duration::from_secs(5 * 60),
            refresh_lifetime: Duration::from_secs(90 * 24 * 60 * 60),
        }
    }
}

impl TokenOptions {
    /// Sets the URL at which clients reach the server, such as `https://registry.example`. Its host is also the
    /// audience of the tokens: another server with the same key and another URL does not accept them.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it is not an `http` or `https` URL of a host, or if it has a path:
    /// clients expect the API at the root of the host.
    pub fn with_public_url(mut self, url: &str) -> Result<Self> {
        let hint = "write for example https://registry.example";
        let parsed = public_url::parse("the URL of the server", url);
        let parsed = parsed.map_err(|error| error.with_hint(hint))?;
        let is_plain = matches!(parsed.scheme(), "http" | "https")
            && parsed.has_host()
            && parsed.path() == "/"
            && parsed.query().is_none()
            && parsed.fragment().is_none();
        if !is_plain {
            let error = Error::new(ErrorKind::InvalidInput, "not the URL of a host");
            return Err(error.with_subject(url).with_hint(hint));
        }
        self.public_url = Some(parsed);
        Ok(self)
    }

    /// Sets how long a token is valid, at least one minute.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime.max(MIN_LIFETIME);
        self
    }

    /// Sets how long a refresh token is valid.
    #[must_use]
    pub fn with_refresh_lifetime(mut self, lifetime: Duration) -> Self {
        self.refresh_lifetime = lifetime;
        self
    }
}
