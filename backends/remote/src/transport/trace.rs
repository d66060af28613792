//! Logs every request and response, without secrets.

use std::future::Future;
use std::time::Instant;

use http::Method;
use tranship::Error;
use url::Url;

use super::counts::RequestKind;
use super::failure::SendError;
use crate::redacted_url::redacted_url;

/// An error of a request without a response.
pub(super) trait Cause {
    fn cause(&self) -> &Error;
}

impl Cause for Error {
    fn cause(&self) -> &Error {
        self
    }
}

impl Cause for SendError {
    fn cause(&self) -> &Error {
        &self.error
    }
}

/// Waits for the response to one request, and logs both.
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
            let (url, status) = (redacted_url(url), response.status().as_u16());
            tracing::debug!(%method, %url, status, ms, "{what}");
        }
        Err(error) => {
            let (url, error) = (redacted_url(url), describe(error.cause()));
            tracing::debug!(%method, %url, %error, ms, "{what} failed");
        }
    }
    outcome
}

/// Returns the error with its causes, on one line.
fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
