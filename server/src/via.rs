//! Recognises requests that have come from this server itself, through its mirrors.

use std::sync::Arc;

use http::header::{HeaderMap, HeaderValue, VIA};
use tranship::Result;

use crate::random::random_id;
use crate::response::value;

/// The longest header `Via` that is passed on, in bytes: that of a hundred servers.
const MAX_LENGTH: usize = 8 * 1024;

tokio::task_local! {
    /// The header `Via` of the request that this task serves.
    static RECEIVED: String;
}

/// The name of this server in the header `Via` (RFC 9110, section 7.6.3) of its requests to mirrored registries.
///
/// A mirror may lead back to its server, directly or through other servers. [`request_headers`](Self::request_headers) has
/// the headers for requests to a mirrored registry. A server with this name in its
/// [mirrors](crate::Mirrors::with_server_name) refuses a request that has passed it before, with status 508.
///
/// ```
/// use tranship_server::ServerName;
///
/// let name = ServerName::generate()?;
/// assert!(name.request_headers().contains_key("via"));
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ServerName(Arc<str>);

impl ServerName {
    /// Returns a random name.
    ///
    /// # Errors
    /// [`Io`](tranship::ErrorKind::Io) if the system has no random numbers.
    pub fn generate() -> Result<Self> {
        Ok(Self(format!("tranship-{}", random_id()?).into()))
    }

    /// Returns the headers for requests that the current task sends to a mirrored registry. If the task serves a request,
    /// they have the servers that the request has passed.
    #[must_use]
    pub fn request_headers(&self) -> HeaderMap {
        let own = format!("1.1 {}", self.0);
        let via = RECEIVED
            .try_with(|received| format!("{received}, {own}"))
            .unwrap_or(own);
        HeaderMap::from_iter([(VIA, value(via))])
    }

    /// Returns whether a request with these headers has passed this server, or too many others.
    pub(crate) fn is_in(&self, headers: &HeaderMap) -> bool {
        let via = received(headers);
        via.len() > MAX_LENGTH
            || via
                .split(',')
                .any(|entry| entry.split_whitespace().any(|word| word == &*self.0))
    }
}

/// Serves a request with these headers by `serving`.
pub(crate) async fn serve<T>(headers: &HeaderMap, serving: impl Future<Output = T>) -> T {
    let via = received(headers);
    if via.is_empty() {
        return serving.await;
    }
    RECEIVED.scope(via, serving).await
}

fn received(headers: &HeaderMap) -> String {
    let values = headers.get_all(VIA).iter();
    let texts = values.filter_map(|value: &HeaderValue| value.to_str().ok());
    texts.collect::<Vec<_>>().join(", ")
}
