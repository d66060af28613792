//! Telling http and https apart by what comes back.

use std::time::Duration;

use http::header::{CONTENT_TYPE, LOCATION};
use http::{Method, StatusCode};
use tranship::{ErrorKind, Result};
use url::Url;

use super::{Answer, Failed, Request, RequestKind, Transport, failure};
use crate::policy::same_origin;

/// How long a registry on this machine may take to show that it speaks a scheme. Those that do not speak
/// TLS may wait for the end of a line.
const PATIENCE: Duration = Duration::from_secs(5);

impl Transport {
    /// Asks a registry on this machine over http whether it speaks that, before options for TLS are used.
    /// The request carries nothing. A server of http may keep waiting when it is spoken to in TLS, and one
    /// of TLS never waits when it is spoken to in http.
    pub(super) async fn find_scheme(&self) {
        let origin = &self.0.origin;
        if let Some(http) = origin
            .alternative()
            .filter(|other| other.scheme() == "http")
        {
            origin.settle(self.speaks(http).await);
        }
    }

    /// Finds out whether a registry on this machine speaks https if a request was `tried` over http. If
    /// so, the registry has not understood the request, which can be sent again.
    pub(super) async fn speaks_tls(
        &self,
        request: &Request<'_>,
        tried: &Url,
        outcome: &Result<Answer, Failed>,
    ) -> bool {
        let origin = &self.0.origin;
        if !origin.has(&origin.adapted(&request.url)) {
            return false;
        }
        if !origin.has(tried) {
            // Another request has found it out.
            return true;
        }
        let Some(https) = origin.alternative() else {
            return false;
        };
        let is_doubtful = match outcome {
            Ok(answer) => is_doubtful(&answer.response, &answer.url),
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

    /// Whether something at `origin` speaks the scheme of that.
    async fn speaks(&self, origin: &Url) -> bool {
        let Ok(url) = origin.join("v2/") else {
            return false;
        };
        let inner = &*self.0;
        inner.counter.count(RequestKind::Ping);
        let sending = inner.clients.small.request(Method::GET, &url).send();
        let patience = inner.options.connect_timeout.min(PATIENCE);
        let answered = tokio::time::timeout(patience, sending).await;
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
