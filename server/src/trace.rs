//! The spans of requests, by the semantic conventions of OpenTelemetry for HTTP servers.

use http::request::Parts;
use http::{Method, StatusCode};
use tracing::Span;
use tracing::field::Empty;

use crate::peer::Peer;
use crate::record::user_agent;

/// Returns the span of a request whose path is logged as `path`. It does not have the user, and neither parameters nor
/// ids of uploads. With the feature `opentelemetry` it continues the trace in the headers.
pub(crate) fn of_request(request: &Parts, path: &str) -> Span {
    let peer = Peer::of(&request.extensions);
    let span = tracing::info_span!(
        target: "tranship_server::request",
        "request",
        otel.name = method_name(&request.method),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method_name(&request.method),
        http.route = Empty,
        http.response.status_code = Empty,
        url.path = path,
        url.scheme = if peer.is_tls { "https" } else { "http" },
        client.address = peer.address.map(|address| tracing::field::display(address.ip())),
        user_agent.original = user_agent(request),
        error.type = Empty,
    );
    #[cfg(feature = "opentelemetry")]
    continue_trace(&span, &request.headers);
    span
}

/// Sets which endpoint the request is for, as a path with names in braces.
pub(crate) fn set_route(span: &Span, method: &Method, route: &str) {
    if !span.is_disabled() {
        span.record("http.route", route);
        let name = format!("{} {route}", method_name(method));
        span.record("otel.name", name);
    }
}

pub(crate) fn set_status(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", status.as_str());
    }
}

/// The conventions name the methods of RFC 9110 and RFC 5789, so that clients cannot make up others.
fn method_name(method: &Method) -> &'static str {
    [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE",
    ]
    .into_iter()
    .find(|name| *name == method.as_str())
    .unwrap_or("_OTHER")
}

#[cfg(feature = "opentelemetry")]
fn continue_trace(span: &Span, headers: &http::HeaderMap) {
    use opentelemetry_http::HeaderExtractor;
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    if span.is_disabled() {
        return;
    }
    let parent = opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.extract(&HeaderExtractor(headers))
    });
    // Fails if no span is exported.
    let _ = span.set_parent(parent);
}
