//! Lists that a quirk changes: the one thing for which a body has to be read.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::BoxError;
use super::asked::{Asked, Endpoint};
use super::body::QuirkyBody;
use super::quirk::Quirk;
use super::quirky::Quirks;

/// The answer with its list as a quirk has it.
pub(crate) async fn rewrite<R>(
    quirks: &Quirks,
    asked: &Asked,
    answer: Response<QuirkyBody<R>>,
) -> Result<Response<QuirkyBody<R>>, BoxError>
where
    R: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let is_list = asked.endpoint.is_listing() || asked.endpoint == Endpoint::Referrers;
    let is_wanted = quirks.has(Quirk::NullLists) || quirks.has(Quirk::RepeatedItems);
    if !is_list || !is_wanted || asked.method != Method::GET || answer.status() != StatusCode::OK {
        return Ok(answer);
    }
    let (mut parts, body) = answer.into_parts();
    let bytes = body.collect().await?.to_bytes();
    let mut document: Value = serde_json::from_slice(&bytes)?;
    for name in ["tags", "repositories", "manifests"] {
        let Some(list) = document.get_mut(name) else {
            continue;
        };
        if quirks.has(Quirk::RepeatedItems) && asked.endpoint.is_listing() {
            repeat(asked, list);
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
fn repeat(asked: &Asked, list: &mut Value) {
    let (Some(last), Some(items)) = (asked.parameter("last"), list.as_array_mut()) else {
        return;
    };
    if !items.is_empty() {
        // Names have no other character that is encoded.
        let last = last.replace("%2F", "/");
        items.insert(0, Value::String(last));
    }
}
