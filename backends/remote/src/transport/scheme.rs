//! Finds out whether a registry on this machine speaks http or https.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, LOCATION};
use http::{Method, StatusCode};
use tranship::{ErrorKind, Result};
use url::Url;

use super::counts::{Counter, RequestKind};
use super::failure::{self, SendError};
use super::origin::Origin;
use super::response::Response;
use super::sender::Sender;
use crate::hosts::same_origin;

/// How long a registry on this machine may take to show that it speaks a scheme. A server that does not speak TLS may
/// wait for the end of a line.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Probes which scheme a registry on this machine speaks. Probes carry no credentials.
pub(super) struct SchemeProbe {
    pub(super) origin: Origin,
    pub(super) client: Sender,
    pub(super) counter: Arc<Counter>,
    pub(super) connect_timeout: Duration,
}

impl SchemeProbe {
    /// Probes http before the first request over https, and settles the scheme. A server of http may wait for more when it
    /// receives TLS, while a server of TLS never waits when it receives http.
    pub(super) async fn settle_before_tls(&self) {
        let alternative = self.origin.alternative();
        if let Some(http) = alternative.filter(|other| other.scheme() == "http") {
            self.origin.settle(self.speaks(http).await);
        }
    }

    /// Returns whether the registry speaks https after a request to `url` was sent to the origin `tried` over http. In
    /// that case the registry has not understood the request, which can be sent again.
    pub(super) async fn speaks_tls(
        &self,
        url: &Url,
        tried: &Url,
        outcome: &Result<Response, SendError>,
    ) -> bool {
        let origin = &self.origin;
        if !origin.has(&origin.adapted(url)) {
            return false;
        }
        if !origin.has(tried) {
            // Another request has settled the scheme.
            return true;
        }
        let Some(https) = origin.alternative() else {
            return false;
        };
        let is_doubtful = match outcome {
            Ok(response) => is_doubtful(&response.inner, &response.url),
            Err(failed) => failed.error.kind() == ErrorKind::Unavailable,
        };
        if is_doubtful && self.speaks(https).await {
            origin.settle(true);
            return true;
        }
        if outcome.is_ok() {
            origin.settle(false);
        }
        false
    }

    /// Returns whether the server at `origin` speaks the scheme of that URL.
    async fn speaks(&self, origin: &Url) -> bool {
        let Ok(url) = origin.join("v2/") else {
            return false;
        };
        self.counter.count(RequestKind::Ping);
        let sending = self.client.request(Method::GET, &url).send();
        let timeout = self.connect_timeout.min(PROBE_TIMEOUT);
        let answered = tokio::time::timeout(timeout, sending).await;
        let is_spoken = answered.is_ok_and(|answered| is_spoken(&url, &answered));
        tracing::debug!(scheme = origin.scheme(), is_spoken, "asked for the scheme");
        is_spoken
    }
}

/// Whether a response from `url` over http may be that of a server which speaks https: those respond with
/// 400 and plain text, where registries send a list of errors in JSON, or redirect to the same URL over
/// https.
fn is_doubtful(response: &reqwest::Response, url: &Url) -> bool {
    if url.scheme() != "http" {
        return false;
    }
    if response.status() == StatusCode::BAD_REQUEST {
        let kind = response.headers().get(CONTENT_TYPE);
        let is_json =
            kind.is_some_and(|kind| kind.as_bytes().windows(4).any(|part| part == b"json"));
        return !is_json;
    }
    let location = response.headers().get(LOCATION);
    let target = location.and_then(|location| url.join(location.to_str().ok()?).ok());
    let mut secure = url.clone();
    let is_https = secure.set_scheme("https").is_ok();
    is_https
        && response.status().is_redirection()
        && target.is_some_and(|target| same_origin(&target, &secure))
}

/// Whether what became of a request to `url` says that the other side speaks the scheme.
fn is_spoken(url: &Url, answered: &reqwest::Result<reqwest::Response>) -> bool {
    match answered {
        Ok(response) => !is_doubtful(response, url),
        // The other side speaks TLS, and one of the two does not want the other.
        Err(error) => url.scheme() == "https" && failure::is_of_tls(error),
    }
}
