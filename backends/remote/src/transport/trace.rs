//! Tells of every request and response, for people who look for what goes wrong. No secret is told.

use std::borrow::Cow;
use std::future::Future;
use std::time::Instant;

use http::Method;
use tranship::Error;
use url::Url;

use super::Failed;
use super::counts::RequestKind;

/// Parameters whose values are shown. Others may be signatures or states of a session.
const PLAIN: [&str; 9] = [
    "artifactType",
    "digest",
    "from",
    "last",
    "mount",
    "n",
    "scope",
    "service",
    "tag",
];

/// Why the request got no response.
pub(super) trait Cause {
    fn cause(&self) -> &Error;
}

impl Cause for Error {
    fn cause(&self) -> &Error {
        self
    }
}

impl Cause for Failed {
    fn cause(&self) -> &Error {
        &self.error
    }
}

/// Waits for the response to one request, and tells of both.
pub(super) async fn exchange<E: Cause>(
    kind: RequestKind,
    method: &Method,
    url: &Url,
    sending: impl Future<Output = Result<reqwest::Response, E>>,
) -> Result<reqwest::Response, E> {
    let begin = Instant::now();
    let outcome = sending.await;
    let ms = begin.elapsed().as_millis();
    let what = match kind {
        RequestKind::Token => "token",
        _ => "request",
    };
    match &outcome {
        Ok(response) => {
            let (url, status) = (shown(url), response.status().as_u16());
            tracing::debug!(%method, %url, status, ms, "{what}");
        }
        Err(error) => {
            let (url, error) = (shown(url), describe(error.cause()));
            tracing::debug!(%method, %url, %error, ms, "{what} failed");
        }
    }
    outcome
}

/// The error with its causes, on one line.
fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

/// The URL without user information, and with the values of harmless parameters only.
fn shown(url: &Url) -> Url {
    let mut shown = url.clone();
    // Neither fails for a URL that has a host.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_fragment(None);
    if url.query().is_some() {
        let pairs = url.query_pairs().map(|(key, value)| {
            let is_plain = PLAIN.contains(&&*key);
            (key, if is_plain { value } else { Cow::from("...") })
        });
        shown.query_pairs_mut().clear().extend_pairs(pairs);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_told_without_what_may_be_secret() {
        for (url, expected) in [
            (
                "https://user:pass@host/v2/a/tags/list?n=5&last=b",
                "https://host/v2/a/tags/list?n=5&last=b",
            ),
            (
                "https://cdn/blob?X-Amz-Signature=abc&sig=def&digest=x#y",
                "https://cdn/blob?X-Amz-Signature=...&sig=...&digest=x",
            ),
            ("https://host/v2/", "https://host/v2/"),
        ] {
            let url = Url::parse(url).expect("a URL");
            assert_eq!(shown(&url).as_str(), expected);
        }
    }
}
