//! Reading and deleting blobs.

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, HeaderValue, IF_NONE_MATCH,
    IF_RANGE, RANGE,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use tranship::{ByteRange, Descriptor, RepositoryName};

use crate::conditions::not_modified;
use crate::events::{self, Event, EventAction};
use crate::query::parse_digest;
use crate::range::{RequestedRange, requested_range};
use crate::response::{HandlerResult, describe, empty, entity_tag, value};
use crate::response_body::ResponseBody;
use crate::response_error::{ErrorCode, Resource, ResponseError};
use crate::state::ServerState;

/// A blob never changes, so it may be cached for the longest usual time. Not `public`: shared caches store responses to
/// anonymous callers anyway, and must not store those to users.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("max-age=31536000, immutable");

/// GET and HEAD of a blob.
pub(crate) async fn read(
    state: &ServerState,
    name: &RepositoryName,
    digest: &str,
    request: &Parts,
) -> HandlerResult {
    let failed = |error| ResponseError::from_backend(&error, Resource::Blob);
    let digest = parse_digest(digest)?;
    let repository = state.repository(name).await?;
    let blobs = repository.blobs();
    if request.method == Method::GET && !is_conditional(request) && !state.redirects.is_enabled() {
        // One request to the backend, which may be a remote registry.
        let content = blobs
            .fetch_reference(&digest.into())
            .await
            .map_err(failed)?;
        let blob = content.descriptor().clone();
        return Ok(described(ResponseBody::content(content, request), &blob));
    }
    let blob = blobs.resolve(&digest.into()).await.map_err(failed)?;
    if let Some(mut response) = not_modified(&request.headers, blob.digest()) {
        response.headers_mut().insert(CACHE_CONTROL, IMMUTABLE);
        return Ok(response);
    }
    if request.method == Method::HEAD {
        return Ok(described(ResponseBody::empty(), &blob));
    }
    // A client repeats the header with its range at the new location.
    if let Some(response) = state.redirects.to_blob(&*repository, &blob).await {
        return Ok(response);
    }
    let range = if has_other_content(request, &blob) {
        RequestedRange::Whole
    } else {
        requested_range(&request.headers, blob.size())
    };
    match range {
        RequestedRange::Whole => {
            let content = blobs.fetch(&blob).await.map_err(failed)?;
            Ok(described(ResponseBody::content(content, request), &blob))
        }
        RequestedRange::Part(range) => {
            let part = blobs
                .fetch_range(&blob, ByteRange::from(range.clone()))
                .await
                .map_err(failed)?;
            let mut response = described(ResponseBody::content(part, request), &blob);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let headers = response.headers_mut();
            headers.insert(CONTENT_LENGTH, (range.end - range.start).into());
            let (last, size) = (range.end.saturating_sub(1), blob.size());
            headers.insert(
                CONTENT_RANGE,
                value(format!("bytes {}-{last}/{size}", range.start)),
            );
            Ok(response)
        }
        RequestedRange::Unsatisfiable => Err(ResponseError::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            ErrorCode::SizeInvalid,
            format!("the blob has {} bytes", blob.size()),
        )
        .with_header(CONTENT_RANGE, value(format!("bytes */{}", blob.size())))),
    }
}

/// Returns whether the response may be other than the whole blob.
fn is_conditional(request: &Parts) -> bool {
    let headers = &request.headers;
    headers.contains_key(RANGE) || headers.contains_key(IF_NONE_MATCH)
}

/// Returns whether the client has a part of other content (`If-Range`), and so needs the whole blob.
fn has_other_content(request: &Parts, blob: &Descriptor) -> bool {
    request
        .headers
        .get(IF_RANGE)
        .is_some_and(|tag| *tag != entity_tag(blob.digest()))
}

fn described(body: ResponseBody, blob: &Descriptor) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    describe(&mut response, blob);
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, IMMUTABLE);
    response
}

/// DELETE of a blob.
pub(crate) async fn delete(
    state: &ServerState,
    name: &RepositoryName,
    digest: &str,
) -> HandlerResult {
    let failed = |error| ResponseError::from_backend(&error, Resource::Blob);
    let digest = parse_digest(digest)?;
    let repository = state.repository(name).await?;
    let blobs = repository.blobs();
    let blob = blobs.resolve(&digest.into()).await.map_err(failed)?;
    blobs.delete(&blob).await.map_err(failed)?;
    let mut response = empty(StatusCode::ACCEPTED);
    events::attach(state, &mut response, || {
        vec![Event::new(EventAction::Delete, name.clone()).with_content(&blob)]
    });
    Ok(response)
}
