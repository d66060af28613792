//! Conditional requests (RFC 9110, section 13). The entity tag of content is its digest.

use http::header::{ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, Response, StatusCode};
use tranship::Digest;

use crate::response::{DOCKER_CONTENT_DIGEST, empty, entity_tag, value};
use crate::response_body::ResponseBody;
use crate::response_error::{ErrorCode, ResponseError};

/// Returns the response to a read if the client already has `digest`.
pub(crate) fn not_modified(headers: &HeaderMap, digest: &Digest) -> Option<Response<ResponseBody>> {
    if !matches(headers, &IF_NONE_MATCH, Some(digest))? {
        return None;
    }
    let mut response = empty(StatusCode::NOT_MODIFIED);
    let headers = response.headers_mut();
    headers.insert(ETAG, entity_tag(digest));
    headers.insert(DOCKER_CONTENT_DIGEST, value(digest.to_string()));
    Some(response)
}

/// Returns whether a change is conditional.
pub(crate) fn has_conditions(headers: &HeaderMap) -> bool {
    headers.contains_key(IF_MATCH) || headers.contains_key(IF_NONE_MATCH)
}

/// Checks the conditions of a change of a tag or manifest whose digest is `current`, if it exists.
pub(crate) fn check(headers: &HeaderMap, current: Option<&Digest>) -> Result<(), ResponseError> {
    let is_met = matches(headers, &IF_MATCH, current) != Some(false)
        && matches(headers, &IF_NONE_MATCH, current) != Some(true);
    if is_met {
        return Ok(());
    }
    let failure = ResponseError::new(
        StatusCode::PRECONDITION_FAILED,
        ErrorCode::Denied,
        "the current manifest is not the one that the request expects",
    );
    Err(match current {
        Some(current) => failure.with_header(ETAG, entity_tag(current)),
        None => failure,
    })
}

/// Returns whether one of the entity tags in the header `name` is that of `current`; `None` without the header.
fn matches(headers: &HeaderMap, name: &HeaderName, current: Option<&Digest>) -> Option<bool> {
    if !headers.contains_key(name) {
        return None;
    }
    let Some(current) = current else {
        return Some(false);
    };
    let current = entity_tag(current);
    // Digests do not contain commas, so the list can be split at each.
    let is_listed = headers
        .get_all(name)
        .iter()
        .flat_map(|list| list.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .map(|tag| tag.strip_prefix(b"W/").unwrap_or(tag))
        .any(|tag| tag == b"*" || tag == current.as_bytes());
    Some(is_listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, text.parse().expect("a header"));
        headers
    }

    #[test]
    fn an_entity_tag_is_found_in_a_list() {
        let digest = Digest::of(b"x");
        for list in [
            format!("\"{digest}\""),
            format!("\"a\", W/\"{digest}\""),
            "*".to_owned(),
        ] {
            let headers = headers(IF_NONE_MATCH, &list);
            assert!(not_modified(&headers, &digest).is_some(), "{list}");
        }
        let other = headers(IF_NONE_MATCH, &format!("\"{digest}\""));
        assert!(not_modified(&other, &Digest::of(b"y")).is_none());
        assert!(not_modified(&HeaderMap::new(), &digest).is_none());
    }

    #[test]
    fn a_change_may_require_a_digest_or_absence() {
        let digest = Digest::of(b"x");
        let this = format!("\"{digest}\"");
        check(&headers(IF_MATCH, &this), Some(&digest)).expect("it is this");
        check(&headers(IF_MATCH, &this), Some(&Digest::of(b"y"))).expect_err("it is another");
        check(&headers(IF_MATCH, "*"), None).expect_err("it is nothing");
        check(&headers(IF_NONE_MATCH, "*"), None).expect("it is nothing");
        check(&headers(IF_NONE_MATCH, "*"), Some(&digest)).expect_err("it is something");
    }
}
