//! Requests that a quirk changes before the server sees them, or answers in its place.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};

use super::asked::{Asked, Endpoint, redirect, without};
use super::quirk::Quirk;
use super::quirky::Quirks;

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

/// The answer that comes instead of the server's, if a quirk has one.
pub(crate) fn instead(
    quirks: &Quirks,
    asked: &mut Asked,
    parts: &mut Parts,
) -> Option<Response<Bytes>> {
    let wants_tokens = [Quirk::ShortTokens, Quirk::PushToLook, Quirk::ManyChallenges];
    if wants_tokens.into_iter().any(|quirk| quirks.has(quirk)) {
        let answer = quirks.tokens.instead(quirks, asked, parts);
        if answer.is_some() {
            return answer;
        }
    }
    let answer = strangers(quirks, asked, parts)
        .or_else(|| burst(quirks))
        .or_else(|| read(quirks, asked, parts))
        .or_else(|| upload(quirks, asked, parts))
        .or_else(|| deletion(quirks, asked));
    if answer.is_none() {
        rewrite(quirks, asked, parts);
    }
    answer
}

fn strangers(quirks: &Quirks, asked: &Asked, parts: &Parts) -> Option<Response<Bytes>> {
    if !quirks.has(Quirk::HiddenFromStrangers) {
        return None;
    }
    let shown = parts.headers.get(AUTHORIZATION);
    if shown.is_some_and(|shown| shown == LOGIN) {
        return None;
    }
    if asked.path != "/v2/" {
        return Some(error(StatusCode::NOT_FOUND, "NAME_UNKNOWN"));
    }
    let mut answer = error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED");
    let challenge = HeaderValue::from_static("Basic realm=\"quirky\"");
    answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    Some(answer)
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
        let mut answer = error(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS");
        let headers = answer.headers_mut();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        return Some(answer);
    }
    let until = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(1));
    let mut answer = error(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE");
    if let Ok(until) = HeaderValue::try_from(until) {
        answer.headers_mut().insert(RETRY_AFTER, until);
    }
    Some(answer)
}

fn read(quirks: &Quirks, asked: &mut Asked, parts: &mut Parts) -> Option<Response<Bytes>> {
    let has = |quirk| quirks.has(quirk);
    if let Some(path) = asked.path.strip_prefix(STORAGE) {
        asked.is_redirected = true;
        asked.endpoint = Endpoint::Blob;
        redirect(parts, path, None);
        return None;
    }
    match asked.endpoint {
        Endpoint::Blob if has(Quirk::RedirectedBlobs) && asked.method == Method::GET => {
            let mut answer = empty(StatusCode::TEMPORARY_REDIRECT);
            let target = format!("{STORAGE}{}?signature=a%2Fb", asked.path);
            let target = HeaderValue::try_from(target).ok()?;
            answer.headers_mut().insert(LOCATION, target);
            Some(answer)
        }
        _ if has(Quirk::NoHead) && asked.method == Method::HEAD => {
            Some(empty(StatusCode::NOT_IMPLEMENTED))
        }
        _ if has(Quirk::NoManifestHead)
            && asked.endpoint.is_manifest()
            && asked.method == Method::HEAD =>
        {
            Some(empty(StatusCode::METHOD_NOT_ALLOWED))
        }
        Endpoint::Catalog if has(Quirk::NoCatalog) => Some(page_for_people(StatusCode::NOT_FOUND)),
        Endpoint::Referrers if has(Quirk::NoReferrers) || has(Quirk::DigestTags) => {
            Some(page_for_people(StatusCode::NOT_FOUND))
        }
        Endpoint::Referrers if has(Quirk::NoReferrersNameUnknown) => {
            Some(error(StatusCode::NOT_FOUND, "NAME_UNKNOWN"))
        }
        Endpoint::Referrers if has(Quirk::HtmlReferrers) => Some(page_for_people(StatusCode::OK)),
        _ => None,
    }
}

fn upload(quirks: &Quirks, asked: &Asked, parts: &mut Parts) -> Option<Response<Bytes>> {
    let has = |quirk| quirks.has(quirk);
    let length = asked.length.unwrap_or(0);
    if has(Quirk::SmallBodies) && length > MOST {
        return Some(page_for_people(StatusCode::PAYLOAD_TOO_LARGE));
    }
    match (&asked.method, asked.endpoint) {
        (&Method::POST, Endpoint::Uploads) => {
            asked.parameter("mount")?;
            let has_source = asked.parameter("from").is_some();
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
                let query = without(asked.query.as_deref(), &["mount", "from"]);
                redirect(parts, &asked.path, query.as_deref());
            }
            None
        }
        (method, Endpoint::Upload) => {
            if has(Quirk::LocationQuery) {
                let state = state_of(asked.id());
                let query = asked.query.as_deref().unwrap_or_default();
                let Some(rest) = query.strip_prefix(state.as_str()) else {
                    return Some(error(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID"));
                };
                let rest = rest.strip_prefix('&').filter(|rest| !rest.is_empty());
                redirect(parts, &asked.path, rest);
            }
            match *method {
                Method::PATCH if has(Quirk::NoPatch) => {
                    return Some(error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"));
                }
                Method::PUT if has(Quirk::SmallPutsOnly) && length > PIECE => {
                    return Some(page_for_people(StatusCode::PAYLOAD_TOO_LARGE));
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
            if has(Quirk::MinChunk) && is_chunk && quirks.small_chunk(asked.id(), length < PIECE) {
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

fn deletion(quirks: &Quirks, asked: &Asked) -> Option<Response<Bytes>> {
    let is_refused = match asked.endpoint {
        Endpoint::TaggedManifest => quirks.has(Quirk::NoUntag) || quirks.has(Quirk::NoDelete),
        Endpoint::Manifest | Endpoint::Blob => quirks.has(Quirk::NoDelete),
        _ => false,
    };
    (is_refused && asked.method == Method::DELETE)
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
fn digest_tags(quirks: &Quirks, asked: &Asked, parts: &mut Parts) {
    match (&asked.method, asked.endpoint) {
        (&Method::PUT, Endpoint::TaggedManifest) => quirks.note_tag(&asked.path, true),
        (&Method::DELETE, Endpoint::TaggedManifest) => quirks.note_tag(&asked.path, false),
        (&Method::PUT, Endpoint::Manifest) => {
            for tag in asked.parameters("tag") {
                if let Some((manifests, _)) = asked.path.rsplit_once('/') {
                    quirks.note_tag(&format!("{manifests}/{tag}"), true);
                }
            }
        }
        (_, Endpoint::TaggedManifest) if asked.is_read() && !quirks.has_tag(&asked.path) => {
            if let Some(path) = spelt_digest(&asked.path) {
                redirect(parts, &path, asked.query.as_deref());
            }
        }
        _ => {}
    }
}

/// What the server does not get to see.
fn rewrite(quirks: &Quirks, asked: &Asked, parts: &mut Parts) {
    let has = |quirk| quirks.has(quirk);
    let query = asked.query.as_deref();
    if has(Quirk::DigestTags) {
        digest_tags(quirks, asked, parts);
    }
    match asked.endpoint {
        endpoint if endpoint.is_listing() => {
            let wanted: Option<usize> = asked.parameter("n").and_then(|text| text.parse().ok());
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
                        redirect(parts, &asked.path, query.as_deref());
                    }
                    return;
                }
            };
            let rest = without(query, &["n"]);
            let rest = rest.map_or_else(String::new, |rest| format!("&{rest}"));
            redirect(parts, &asked.path, Some(&format!("n={size}{rest}")));
        }
        Endpoint::Referrers if has(Quirk::NoReferrersFilter) => {
            let query = without(query, &["artifactType"]);
            redirect(parts, &asked.path, query.as_deref());
        }
        Endpoint::Manifest if has(Quirk::NoTagParameters) && asked.method == Method::PUT => {
            redirect(parts, &asked.path, None);
        }
        Endpoint::Blob if has(Quirk::NoRange) => {
            parts.headers.remove(RANGE);
        }
        _ => {}
    }
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = status;
    answer
}

/// An error as the spec has it.
pub(crate) fn error(status: StatusCode, code: &str) -> Response<Bytes> {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"by a quirk"}}]}}"#);
    let mut answer = empty(status);
    *answer.body_mut() = body.into();
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, json);
    answer
}

/// What a proxy or a web interface answers.
pub(crate) fn page_for_people(status: StatusCode) -> Response<Bytes> {
    let mut answer = empty(status);
    *answer.body_mut() = Bytes::from_static(b"<html><body><h1>Hello</h1></body></html>");
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, html);
    answer
}
