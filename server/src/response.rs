//! What answers have in common.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LINK, LOCATION};
use http::{Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use tranship::{Descriptor, Digest};

use crate::failure::{Code, Failure};
use crate::response_body::ResponseBody;

pub(crate) type Answer = Result<Response<ResponseBody>, Failure>;

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

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = status;
    response
}

/// `document` as JSON.
pub(crate) fn json(document: &impl Serialize) -> Answer {
    Ok(typed(
        encode(document)?.into(),
        HeaderValue::from_static("application/json"),
    ))
}

/// A part of an answer as JSON.
pub(crate) fn encode(document: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(document).map_err(|error| {
        tracing::error!(%error, "an answer cannot be encoded");
        Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Code::Unknown,
            "the answer cannot be encoded",
        )
    })
}

pub(crate) fn typed(body: Bytes, media_type: HeaderValue) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::whole(body));
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

/// A value that is printable ASCII by its grammar, such as a digest.
pub(crate) fn value(text: impl AsRef<str>) -> HeaderValue {
    HeaderValue::from_str(text.as_ref()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Says what content an answer is about.
pub(crate) fn describe(response: &mut Response<ResponseBody>, content: &Descriptor) {
    let headers = response.headers_mut();
    let digest = content.digest();
    headers.insert(CONTENT_TYPE, value(content.media_type()));
    headers.insert(CONTENT_LENGTH, content.size().into());
    // One string for both: the digest is what is between the quotes.
    let quoted = Bytes::from(format!("\"{digest}\""));
    let plain = quoted.slice(1..quoted.len() - 1);
    headers.insert(DOCKER_CONTENT_DIGEST, shared(plain));
    headers.insert(ETAG, shared(quoted));
}

fn shared(text: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The entity tag of content: its digest, since the same digest is the same bytes.
pub(crate) fn entity_tag(digest: &Digest) -> HeaderValue {
    value(format!("\"{digest}\""))
}

/// The answer to a push of `digest` that can be read at `location`.
pub(crate) fn created(location: String, digest: &Digest) -> Response<ResponseBody> {
    let mut response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    headers.insert(LOCATION, value(location));
    headers.insert(DOCKER_CONTENT_DIGEST, value(digest.to_string()));
    response
}

/// Says that the listing at `path` goes on behind `last`, with the parameters `also`.
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
