//! The way of a request: who the caller is and what the request requires, and then the module of its endpoint.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, WARNING, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use tracing::Instrument as _;
use tranship::RepositoryName;

use crate::access::{Action, Caller, Required};
use crate::metrics::Metrics;
use crate::record::RequestRecord;
use crate::request_body::RequestBody;
use crate::request_id::RequestId;
use crate::response::HandlerResult;
use crate::response_body::ResponseBody;
use crate::response_error::{ErrorCode, ResponseError, too_many_requests};
use crate::route::{Route, is_read};
use crate::state::ServerState;
use crate::upload_sessions::Owner;
use crate::{endpoints, events, via};

/// Clients of Docker assume version 1 of the API without this header.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// Responds to `request`, which has the id `id`, and records it.
pub(crate) async fn respond(
    state: &ServerState,
    metrics: &Arc<Metrics>,
    id: RequestId,
    request: Request<RequestBody>,
) -> Response<ResponseBody> {
    let (request, mut body) = request.into_parts();
    let audit = state.options.audit.as_ref();
    let mut record = RequestRecord::begin(id, metrics, audit, &request, body.received());
    let named = Route::parse(request.uri.path());
    // The name that the client has used, without the registry of `ns`.
    let name = named
        .as_ref()
        .ok()
        .and_then(|route| route.repository().cloned());
    let route = named.and_then(|route| state.in_namespace(route, &request.uri));
    if let Ok(route) = &route {
        // Before the span is entered, after which its name is fixed.
        record.set_route(route, &request.uri);
    }
    let span = record.span().clone();
    let handled = dispatch(
        state,
        metrics,
        name,
        route,
        &request,
        &mut body,
        &mut record,
    );
    let handled = via::serve(&request.headers, handled).instrument(span);
    let mut response = match handled.await {
        Ok(response) => {
            record.set_status(response.status(), None);
            response
        }
        Err(failure) => {
            record.set_status(failure.status(), Some(failure.code()));
            failure.into_response()
        }
    };
    body.drain(&request).await;
    let headers = response.headers_mut();
    headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    // A browser that guesses types might run pushed content as a page of this site.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(warning) = &state.warning {
        response.headers_mut().append(WARNING, warning.clone());
    }
    if request.method == Method::HEAD {
        without_body(&mut response);
    }
    response.body_mut().set_record(record);
    response
}

/// Checks whether the registry supports the request. A request that it refuses to every caller is refused before
/// the rights of the caller are checked, since a password would not help.
fn check_supported(
    state: &ServerState,
    route: &Route,
    method: &Method,
) -> Result<(), ResponseError> {
    let is_upload = matches!(route, Route::Upload(..));
    let can = state.registry.capabilities();
    let refused = if is_read(method) || matches!(route, Route::Token) {
        None
    } else if method == Method::DELETE && !is_upload {
        let ways = [can.delete_manifests, can.delete_blobs, can.untag];
        let reason = can.delete_manifests.reason();
        reason.filter(|_| !ways.iter().any(|way| way.is_possible()))
    } else {
        can.push.reason()
    };
    match refused {
        None => Ok(()),
        Some(reason) => Err(not_supported(&format!(
            "the registry does not support this: {reason}"
        ))),
    }
}

/// Checks whether the caller may make the request, and passes it to its endpoint. `name` is the repository that the
/// client has named, and `route` has the name that is served.
async fn dispatch(
    state: &ServerState,
    metrics: &Arc<Metrics>,
    name: Option<RepositoryName>,
    route: Result<Route, ResponseError>,
    request: &Parts,
    body: &mut RequestBody,
    record: &mut RequestRecord,
) -> HandlerResult {
    let route = route?;
    let method = &request.method;
    let is_probe = matches!(route, Route::Health | Route::Ready);
    if let Some(hosts) = &state.options.local_hosts
        && !is_probe
        && !hosts.allow(request)
    {
        return Err(ResponseError::new(
            StatusCode::MISDIRECTED_REQUEST,
            ErrorCode::Denied,
            "this server is for programs of its machine, and the request names another host",
        ));
    }
    let required = required(&route, method);
    let access = state.options.access.as_ref();
    let caller = match Caller::of(access, request, required).await {
        Ok(caller) => caller,
        Err(failure) => {
            if let (Some(access), Some(audit)) = (access, record.audit()) {
                audit.set_login_failed(access.named_user(&request.headers).await);
            }
            return Err(failure);
        }
    };
    record.set_caller(caller.identity());
    if let Some(requests) = &state.requests
        && !is_probe
    {
        let counted = requests.count(Owner::of(&caller, request));
        counted.map_err(|wait| too_many_requests("too many requests; try again later", wait))?;
    }
    check_supported(state, &route, method)?;
    let mirrored = state.read_as(name.as_ref(), &route, request);
    let reads_mirror = match (&name, &mirrored) {
        (Some(name), Some(mirrored)) if caller.may_read_through(name, mirrored) => {
            route.repository() == Some(mirrored) || !state.has_local(&route).await?
        }
        _ => false,
    };
    let route = match mirrored {
        Some(mirrored) if reads_mirror => route.renamed(|_| Ok(mirrored))?,
        mirrored => {
            caller.check(request, required, mirrored.as_ref())?;
            route
        }
    };
    state.check_loop(&route, &request.headers)?;
    if !is_read(method) && !matches!(route, Route::Token) {
        state.check_audit()?;
    }
    let mut result = endpoints::handle(metrics, state, route, request, &caller, body, record).await;
    if let Ok(response) = &mut result {
        events::report(state, response, request, &caller, record);
    }
    result
}

/// Returns what a request requires of its caller.
fn required<'a>(route: &'a Route, method: &Method) -> Required<'a> {
    match route {
        // The token endpoint checks credentials itself, and tells what is wrong with them.
        Route::Health | Route::Ready | Route::Token => Required::Nothing,
        Route::Ping => Required::Credentials,
        Route::Metrics => Required::User,
        Route::Catalog => Required::Catalog,
        _ => {
            let action = if matches!(route, Route::Uploads(_) | Route::Upload(..)) {
                Action::Push
            } else if is_read(method) {
                Action::Pull
            } else if method == Method::DELETE {
                Action::Delete
            } else {
                Action::Push
            };
            match route.repository() {
                Some(name) => Required::Repository(name, action),
                None => Required::User,
            }
        }
    }
}

fn not_supported(message: &str) -> ResponseError {
    ResponseError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::Unsupported,
        message,
    )
}

/// Removes the body from a response to HEAD, and keeps its length.
fn without_body(response: &mut Response<ResponseBody>) {
    let length = response.body().size_hint().exact();
    if let (Some(length), None) = (length, response.headers().get(CONTENT_LENGTH)) {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    *response.body_mut() = ResponseBody::empty();
}
