//! Passes a request that its caller may make to the module of its endpoint.

use bytes::Bytes;
use http::header::{ALLOW, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use crate::access::Caller;
use crate::metrics::{self, Metrics};
use crate::record::RequestRecord;
use crate::request_body::RequestBody;
use crate::response::{HandlerResult, json, typed};
use crate::response_body::ResponseBody;
use crate::response_error::{ErrorCode, ResponseError};
use crate::route::{Route, is_read, unknown_endpoint};
use crate::state::ServerState;
use crate::{blobs, catalog, manifests, referrers, tags, token_endpoint, uploads};

/// Handles a request. The caller may make it.
///
/// # Errors
/// Those of the endpoint, and 405 if it does not have the method.
pub(crate) async fn handle(
    metrics: &Metrics,
    state: &ServerState,
    route: Route,
    request: &Parts,
    caller: &Caller<'_>,
    body: &mut RequestBody,
    record: &mut RequestRecord,
) -> HandlerResult {
    let method = &request.method;
    let is_read = is_read(method);
    let access = state.options.access.as_ref();
    match route {
        Route::Health if is_read => Ok(probe(true)),
        Route::Ready if is_read => {
            let timeout = state.options.readiness_timeout;
            let registry = &*state.registry;
            Ok(probe(state.readiness.check(registry, timeout).await))
        }
        Route::Metrics if is_read => Ok(typed(
            metrics
                .encode(state.sessions.count(), state.options.mirrors.clone())
                .into(),
            HeaderValue::from_static(metrics::CONTENT_TYPE),
        )),
        Route::Ping if is_read => json(&serde_json::Map::new()),
        Route::Token => match access.filter(|access| access.issues_tokens()) {
            None => Err(unknown_endpoint()),
            Some(access) if is_read => token_endpoint::get(state, access, request, record).await,
            Some(access) if method == Method::POST => {
                token_endpoint::post(state, access, request, body, record).await
            }
            Some(_) => Err(method_not_allowed("GET, HEAD, POST")),
        },
        Route::Catalog if is_read => catalog::list(state, request, caller).await,
        Route::Tags(name) if is_read => tags::list(state, &name, request).await,
        Route::Referrers(name, digest) if is_read => {
            referrers::list(state, &name, &digest, request).await
        }
        Route::Manifest(name, reference) => match *method {
            Method::GET | Method::HEAD => manifests::read(state, &name, &reference, request).await,
            Method::PUT => manifests::put(state, &name, &reference, request, body).await,
            Method::DELETE => manifests::delete(state, &name, &reference, request).await,
            _ => Err(method_not_allowed("GET, HEAD, PUT, DELETE")),
        },
        Route::Blob(name, digest) => match *method {
            Method::GET | Method::HEAD => blobs::read(state, &name, &digest, request).await,
            Method::DELETE => blobs::delete(state, &name, &digest).await,
            _ => Err(method_not_allowed("GET, HEAD, DELETE")),
        },
        Route::Uploads(name) if method == Method::POST => {
            uploads::start(state, &name, request, body, caller).await
        }
        Route::Uploads(_) => Err(method_not_allowed("POST")),
        Route::Upload(name, id) => match *method {
            Method::GET | Method::HEAD => uploads::status(state, &name, &id, request, caller).await,
            Method::PATCH => uploads::append(state, &name, &id, request, body, caller).await,
            Method::PUT => uploads::finish(state, &name, &id, request, body, caller).await,
            Method::DELETE => uploads::cancel(state, &name, &id, request, caller).await,
            _ => Err(method_not_allowed("GET, HEAD, PATCH, PUT, DELETE")),
        },
        _ => Err(method_not_allowed("GET, HEAD")),
    }
}

/// Returns the response to a probe. It does not require a password, so that it does not tell what is wrong; the log does.
fn probe(is_fine: bool) -> Response<ResponseBody> {
    let text: &[u8] = if is_fine { b"ok\n" } else { b"not ready\n" };
    let media_type = HeaderValue::from_static("text/plain; charset=utf-8");
    let mut response = typed(Bytes::from_static(text), media_type);
    if !is_fine {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

fn method_not_allowed(allowed: &'static str) -> ResponseError {
    ResponseError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::Unsupported,
        "the endpoint does not have this method",
    )
    .with_header(ALLOW, HeaderValue::from_static(allowed))
}
