//! Lists that a quirk changes: the one thing for which a body has to be read.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::body::{BoxError, QuirkyBody};
use super::quirk::Quirk;
use super::quirks::Quirks;
use super::request_info::{Endpoint, RequestInfo};

/// Changes the list in a response.
pub(crate) async fn rewrite<R>(
    quirks: &Quirks,
    info: &RequestInfo,
    response: Response<QuirkyBody<R>>,
) -> Result<Response<QuirkyBody<R>>, BoxError>
where
    R: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let is_list = info.endpoint.is_listing() || info.endpoint == Endpoint::Referrers;
    let is_wanted = quirks.has(Quirk::NullLists) || quirks.has(Quirk::RepeatedItems);
    if !is_list || !is_wanted || info.method != Method::GET || response.status() != StatusCode::OK {
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let bytes = body.collect().await?.to_bytes();
    let mut document: Value = serde_json::from_slice(&bytes)?;
    for name in ["tags", "repositories", "manifests"] {
        let Some(list) = document.get_mut(name) else {
            continue;
        };
        if quirks.has(Quirk::RepeatedItems) && info.endpoint.is_listing() {
            repeat(info, list);
        }
        if quirks.has(Quirk::NullLists) && list.as_array().is_some_and(Vec::is_empty) {
            *list = Value::Null;
        }
    }
    parts.headers.remove(CONTENT_LENGTH);
    let bytes = serde_json::to_vec(&document)?;
    Ok(Response::from_parts(parts, QuirkyBody::whole(bytes)))
}

/// Puts what the page before ended with at the beginning.
fn repeat(info: &RequestInfo, list: &mut Value) {
    let (Some(last), Some(items)) = (info.parameter("last"), list.as_array_mut()) else {
        return;
    };
    if !items.is_empty() {
        // Names have no other character that is encoded.
        let last = last.replace("%2F", "/");
        items.insert(0, Value::String(last));
    }
}
