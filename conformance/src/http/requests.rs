//! Requests that a quirk changes before the server receives them, or responds to in its place.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};

use super::quirk::Quirk;
use super::quirks::Quirks;
use super::request_info::{Endpoint, RequestInfo, redirect, without};

/// The most that `PUT` takes under [`Quirk::SmallPutsOnly`], and the least that a chunk may have under
/// [`Quirk::MinChunk`], in bytes.
pub(crate) const PIECE: u64 = 64 * 1024;

/// The most that a request may bring under [`Quirk::SmallBodies`], in bytes.
const MOST: u64 = 1024 * 1024;

/// Where [`Quirk::RedirectedBlobs`] leads.
const STORAGE: &str = "/storage";

/// How many items a page has where a quirk is about pages and the client does not say.
const PAGE: usize = 5;

/// [`USER`](super::USER) and [`PASSWORD`](super::PASSWORD) as a header.
const LOGIN: &str = "Basic cXVpcmt5Omh1bnRlcjI=";

/// How many requests there are from one burst of failures to the next.
const BURST_EVERY: u64 = 12;

/// Returns the response that replaces the server's, if a quirk has one, and else changes the request.
pub(crate) fn intercept(
    quirks: &Quirks,
    info: &mut RequestInfo,
    parts: &mut Parts,
) -> Option<Response<Bytes>> {
    let response = strangers(quirks, info, parts)
        .or_else(|| burst(quirks))
        .or_else(|| read(quirks, info, parts))
        .or_else(|| upload(quirks, info, parts))
        .or_else(|| deletion(quirks, info));
    if response.is_none() {
        rewrite(quirks, info, parts);
    }
    response
}

fn strangers(quirks: &Quirks, info: &RequestInfo, parts: &Parts) -> Option<Response<Bytes>> {
    if !quirks.has(Quirk::HiddenFromStrangers) {
        return None;
    }
    let shown = parts.headers.get(AUTHORIZATION);
    if shown.is_some_and(|shown| shown == LOGIN) {
        return None;
    }
    if info.path != "/v2/" {
        return Some(error(StatusCode::NOT_FOUND, "NAME_UNKNOWN"));
    }
    let mut response = error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED");
    let challenge = HeaderValue::from_static("Basic realm=\"quirky\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    Some(response)
}

fn burst(quirks: &Quirks) -> Option<Response<Bytes>> {
    let (is_limit, is_outage) = (quirks.has(Quirk::RateLimit), quirks.has(Quirk::Outage));
    if !is_limit && !is_outage {
        return None;
    }
    let number = quirks.count_request() % BURST_EVERY;
    if !(3..5).contains(&number) {
        return None;
    }
    if is_limit {
        let mut response = error(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS");
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        return Some(response);
    }
    let until = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(1));
    let mut response = error(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE");
    if let Ok(until) = HeaderValue::try_from(until) {
        response.headers_mut().insert(RETRY_AFTER, until);
    }
    Some(response)
}

fn read(quirks: &Quirks, info: &mut RequestInfo, parts: &mut Parts) -> Option<Response<Bytes>> {
    let has = |quirk| quirks.has(quirk);
    if let Some(path) = info.path.strip_prefix(STORAGE) {
        info.is_redirected = true;
        info.endpoint = Endpoint::Blob;
        redirect(parts, path, None);
        return None;
    }
    match info.endpoint {
        Endpoint::Blob if has(Quirk::RedirectedBlobs) && info.method == Method::GET => {
            let mut response = empty(StatusCode::TEMPORARY_REDIRECT);
            let target = format!("{STORAGE}{}?signature=a%2Fb", info.path);
            let target = HeaderValue::try_from(target).ok()?;
            response.headers_mut().insert(LOCATION, target);
            Some(response)
        }
        _ if has(Quirk::NoHead) && info.method == Method::HEAD => {
            Some(empty(StatusCode::NOT_IMPLEMENTED))
        }
        _ if has(Quirk::NoManifestHead)
            && info.endpoint.is_manifest()
            && info.method == Method::HEAD =>
        {
            Some(empty(StatusCode::METHOD_NOT_ALLOWED))
        }
        Endpoint::Catalog if has(Quirk::NoCatalog) => Some(html_page(StatusCode::NOT_FOUND)),
        Endpoint::Referrers if has(Quirk::NoReferrers) || has(Quirk::DigestTags) => {
            Some(html_page(StatusCode::NOT_FOUND))
        }
        Endpoint::Referrers if has(Quirk::NoReferrersNameUnknown) => {
            Some(error(StatusCode::NOT_FOUND, "NAME_UNKNOWN"))
        }
        Endpoint::Referrers if has(Quirk::HtmlReferrers) => Some(html_page(StatusCode::OK)),
        _ => None,
    }
}

fn upload(quirks: &Quirks, info: &RequestInfo, parts: &mut Parts) -> Option<Response<Bytes>> {
    let has = |quirk| quirks.has(quirk);
    let length = info.length.unwrap_or(0);
    if has(Quirk::SmallBodies) && length > MOST {
        return Some(html_page(StatusCode::PAYLOAD_TOO_LARGE));
    }
    match (&info.method, info.endpoint) {
        (&Method::POST, Endpoint::Uploads) => {
            info.parameter("mount")?;
            let has_source = info.parameter("from").is_some();
            if has(Quirk::NoAnonymousMount) && !has_source {
                return Some(error(StatusCode::BAD_REQUEST, "NAME_INVALID"));
            }
            if has(Quirk::NoMountNotFound) {
                return Some(error(StatusCode::NOT_FOUND, "BLOB_UNKNOWN"));
            }
            if has(Quirk::NoMountNotAllowed) {
                return Some(error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"));
            }
            if has(Quirk::NoMountAccepted) {
                let query = without(info.query.as_deref(), &["mount", "from"]);
                redirect(parts, &info.path, query.as_deref());
            }
            None
        }
        (method, Endpoint::Upload) => {
            if has(Quirk::LocationQuery) {
                let state = state_of(info.id());
                let query = info.query.as_deref().unwrap_or_default();
                let Some(rest) = query.strip_prefix(state.as_str()) else {
                    return Some(error(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID"));
                };
                let rest = rest.strip_prefix('&').filter(|rest| !rest.is_empty());
                redirect(parts, &info.path, rest);
            }
            match *method {
                Method::PATCH if has(Quirk::NoPatch) => {
                    return Some(error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"));
                }
                Method::PUT if has(Quirk::SmallPutsOnly) && length > PIECE => {
                    return Some(html_page(StatusCode::PAYLOAD_TOO_LARGE));
                }
                Method::GET if has(Quirk::NoUploadStatus) => {
                    return Some(error(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"));
                }
                Method::DELETE if has(Quirk::NoUploadCancel) => {
                    return Some(error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"));
                }
                _ => {}
            }
            let is_chunk = matches!(*method, Method::PATCH | Method::PUT) && length > 0;
            if has(Quirk::MinChunk) && is_chunk && quirks.small_chunk(info.id(), length < PIECE) {
                return Some(error(StatusCode::BAD_REQUEST, "SIZE_INVALID"));
            }
            None
        }
        _ => None,
    }
}

/// The query that [`Quirk::LocationQuery`] gives to an upload.
pub(crate) fn state_of(id: &str) -> String {
    format!("_state=a%2Fb%2Bc%3D{id}")
}

fn deletion(quirks: &Quirks, info: &RequestInfo) -> Option<Response<Bytes>> {
    let is_refused = match info.endpoint {
        Endpoint::TaggedManifest => quirks.has(Quirk::NoUntag) || quirks.has(Quirk::NoDelete),
        Endpoint::Manifest | Endpoint::Blob => quirks.has(Quirk::NoDelete),
        _ => false,
    };
    (is_refused && info.method == Method::DELETE)
        .then(|| error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"))
}

/// The path of the manifest whose digest a tag spells, as `sha256-HEX`.
fn spelt_digest(path: &str) -> Option<String> {
    let (repository, tag) = path.rsplit_once('/')?;
    let hex = tag.strip_prefix("sha256-")?;
    let is_digest = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| format!("{repository}/sha256:{hex}"))
}

/// Keeps track of the tags that are set, and sends requests for others to the digests that they spell.
fn digest_tags(quirks: &Quirks, info: &RequestInfo, parts: &mut Parts) {
    match (&info.method, info.endpoint) {
        (&Method::PUT, Endpoint::TaggedManifest) => quirks.record_tag(&info.path, true),
        (&Method::DELETE, Endpoint::TaggedManifest) => quirks.record_tag(&info.path, false),
        (&Method::PUT, Endpoint::Manifest) => {
            for tag in info.parameters("tag") {
                if let Some((manifests, _)) = info.path.rsplit_once('/') {
                    quirks.record_tag(&format!("{manifests}/{tag}"), true);
                }
            }
        }
        (_, Endpoint::TaggedManifest) if info.is_read() && !quirks.has_tag(&info.path) => {
            if let Some(path) = spelt_digest(&info.path) {
                redirect(parts, &path, info.query.as_deref());
            }
        }
        _ => {}
    }
}

/// Changes the request that the server receives.
fn rewrite(quirks: &Quirks, info: &RequestInfo, parts: &mut Parts) {
    let has = |quirk| quirks.has(quirk);
    let query = info.query.as_deref();
    if has(Quirk::DigestTags) {
        digest_tags(quirks, info, parts);
    }
    match info.endpoint {
        endpoint if endpoint.is_listing() => {
            let wanted: Option<usize> = info.parameter("n").and_then(|text| text.parse().ok());
            let is_about_pages = has(Quirk::AbsoluteLink)
                || has(Quirk::ConfiguredHost)
                || has(Quirk::LinkWithoutRelation)
                || has(Quirk::RepeatedItems);
            let size = match wanted {
                _ if has(Quirk::SmallPages) => wanted.unwrap_or(2).min(2),
                None if is_about_pages => PAGE,
                _ => {
                    if has(Quirk::NoPages) {
                        let query = without(query, &["n", "last"]);
                        redirect(parts, &info.path, query.as_deref());
                    }
                    return;
                }
            };
            let rest = without(query, &["n"]);
            let rest = rest.map_or_else(String::new, |rest| format!("&{rest}"));
            redirect(parts, &info.path, Some(&format!("n={size}{rest}")));
        }
        Endpoint::Referrers if has(Quirk::NoReferrersFilter) => {
            let query = without(query, &["artifactType"]);
            redirect(parts, &info.path, query.as_deref());
        }
        Endpoint::Manifest if has(Quirk::NoTagParameters) && info.method == Method::PUT => {
            redirect(parts, &info.path, None);
        }
        Endpoint::Blob if has(Quirk::NoRange) => {
            parts.headers.remove(RANGE);
        }
        _ => {}
    }
}

/// A response without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// An error as the spec has it.
pub(crate) fn error(status: StatusCode, code: &str) -> Response<Bytes> {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"by a quirk"}}]}}"#);
    let mut response = empty(status);
    *response.body_mut() = body.into();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// The response of a proxy or a web interface.
pub(crate) fn html_page(status: StatusCode) -> Response<Bytes> {
    let mut response = empty(status);
    *response.body_mut() = Bytes::from_static(b"<html><body><h1>Hello</h1></body></html>");
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, html);
    response
}
