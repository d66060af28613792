//! The parts that responses have in common.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LINK, LOCATION};
use http::{Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use tranship::{Descriptor, Digest};

use crate::response_body::ResponseBody;
use crate::response_error::{ErrorCode, ResponseError};

pub(crate) type HandlerResult = Result<Response<ResponseBody>, ResponseError>;

pub(crate) const DOCKER_CONTENT_DIGEST: HeaderName =
    HeaderName::from_static("docker-content-digest");
pub(crate) const DOCKER_UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
pub(crate) const OCI_CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");
pub(crate) const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
pub(crate) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
pub(crate) const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Returns a response without a body.
pub(crate) fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = status;
    response
}

/// Returns a response with `document` as JSON.
pub(crate) fn json(document: &impl Serialize) -> HandlerResult {
    Ok(typed(
        encode(document)?.into(),
        HeaderValue::from_static("application/json"),
    ))
}

/// Encodes a part of a response as JSON.
pub(crate) fn encode(document: &impl Serialize) -> Result<Vec<u8>, ResponseError> {
    serde_json::to_vec(document).map_err(|error| {
        tracing::error!(%error, "a response cannot be encoded");
        ResponseError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::Unknown,
            "the response cannot be encoded",
        )
    })
}

/// Returns a response with `body`.
pub(crate) fn typed(body: Bytes, media_type: HeaderValue) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::whole(body));
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

/// Converts text that is printable ASCII by its grammar, such as a digest.
pub(crate) fn value(text: impl AsRef<str>) -> HeaderValue {
    HeaderValue::from_str(text.as_ref()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Sets the headers that describe `content`.
pub(crate) fn describe(response: &mut Response<ResponseBody>, content: &Descriptor) {
    let headers = response.headers_mut();
    let digest = content.digest();
    headers.insert(CONTENT_TYPE, value(content.media_type()));
    headers.insert(CONTENT_LENGTH, content.size().into());
    // Both share one string: the digest is between the quotes.
    let quoted = Bytes::from(format!("\"{digest}\""));
    let plain = quoted.slice(1..quoted.len() - 1);
    headers.insert(DOCKER_CONTENT_DIGEST, shared(plain));
    headers.insert(ETAG, shared(quoted));
}

fn shared(text: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Returns the entity tag of content, which is its digest.
pub(crate) fn entity_tag(digest: &Digest) -> HeaderValue {
    value(format!("\"{digest}\""))
}

/// Returns the response to a push of `digest`, which can be read at `location`.
pub(crate) fn created(location: String, digest: &Digest) -> Response<ResponseBody> {
    let mut response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    headers.insert(LOCATION, value(location));
    headers.insert(DOCKER_CONTENT_DIGEST, value(digest.to_string()));
    response
}

/// Adds a link to the next page of the listing at `path`, after `last`, with the parameter `also`.
pub(crate) fn link_next(
    response: &mut Response<ResponseBody>,
    path: &str,
    last: &str,
    also: Option<(&str, &str)>,
) {
    let encode = |text| utf8_percent_encode(text, IN_QUERY);
    let mut target = format!("{path}?last={}", encode(last));
    if let Some((name, text)) = also {
        target.push_str(&format!("&{name}={}", encode(text)));
    }
    let link = value(format!("<{target}>; rel=\"next\""));
    response.headers_mut().insert(LINK, link);
}
