//! Logs every request and response, and has a span for them, without secrets.

use std::future::Future;
use std::time::Instant;

use http::{Method, StatusCode};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
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
    let span = span(method, url);
    let begin = Instant::now();
    let outcome = sending.instrument(span.clone()).await;
    let ms = begin.elapsed().as_millis();
    let what = match kind {
        RequestKind::Token => "token",
        _ => "request",
    };
    match &outcome {
        Ok(response) => {
            end(&span, response.status());
            let (url, status) = (redacted_url(url), response.status().as_u16());
            tracing::debug!(%method, %url, status, ms, "{what}");
        }
        Err(error) => {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", error.cause().kind().as_str());
            let (url, error) = (redacted_url(url), describe(error.cause()));
            tracing::debug!(%method, %url, %error, ms, "{what} failed");
        }
    }
    outcome
}

/// Returns the span of one request, by the semantic conventions of OpenTelemetry for HTTP clients.
fn span(method: &Method, url: &Url) -> Span {
    tracing::debug_span!(
        target: "tranship_remote::request",
        "request",
        otel.name = %method,
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = %method,
        http.response.status_code = Empty,
        server.address = url.host_str(),
        server.port = url.port_or_known_default(),
        url.full = %redacted_url(url),
        error.type = Empty,
    )
}

fn end(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    // The first request to a registry is often refused, with a challenge.
    if status.is_client_error() || status.is_server_error() {
        span.record("error.type", status.as_str());
    }
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

/// Adds the context of the current span, so that the registry can continue its trace.
#[cfg(feature = "opentelemetry")]
pub(super) fn propagate(headers: &mut http::HeaderMap) {
    use opentelemetry_http::HeaderInjector;
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    let context = Span::current().context();
    opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&context, &mut HeaderInjector(headers));
    });
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
