//! Responses that a quirk changes.

use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, LINK, LOCATION,
    RANGE, WARNING,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use tranship::Digest;

use super::body::QuirkyBody;
use super::quirk::Quirk;
use super::quirks::Quirks;
use super::request_info::{Endpoint, RequestInfo};
use super::requests::{PIECE, error, html_page, state_of};

const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const OCI_CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");
const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// The own URL of a registry under [`Quirk::ConfiguredHost`].
const CONFIGURED: &str = "https://registry.example";

/// Changes a response as the quirks require.
pub(crate) fn finish<R>(
    quirks: &Quirks,
    info: &RequestInfo,
    response: Response<QuirkyBody<R>>,
) -> Response<QuirkyBody<R>> {
    let mut response = failures(quirks, info, response);
    content(quirks, info, &mut response);
    let status = response.status();
    let is_patch = info.method == Method::PATCH && info.endpoint == Endpoint::Upload;
    if is_patch && status == StatusCode::ACCEPTED && quirks.has(Quirk::CreatedOnPatch) {
        *response.status_mut() = StatusCode::CREATED;
    }
    let headers = response.headers_mut();
    uploads(quirks, info, status, headers);
    locations(quirks, info, headers);
    pages(quirks, info, headers);
    if quirks.has(Quirk::Warnings) {
        let text = format!("299 - \"{} {} is deprecated\"", info.method, info.path);
        if let Ok(text) = HeaderValue::try_from(text) {
            headers.append(WARNING, text);
        }
        headers.append(
            WARNING,
            HeaderValue::from_static("299 - \"The end is near.\""),
        );
    }
    if quirks.has(Quirk::ShortConnections) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn failures<R>(
    quirks: &Quirks,
    info: &RequestInfo,
    response: Response<QuirkyBody<R>>,
) -> Response<QuirkyBody<R>> {
    let is_content = info.endpoint.is_manifest() || info.endpoint == Endpoint::Blob;
    if quirks.has(Quirk::ForbiddenWhereMissing)
        && response.status() == StatusCode::NOT_FOUND
        && info.is_read()
        && is_content
    {
        return error(StatusCode::FORBIDDEN, "DENIED").map(|body| body_of(info, body));
    }
    let is_failure = response.status().is_client_error() || response.status().is_server_error();
    if !is_failure {
        return response;
    }
    let (status, mut headers) = (response.status(), response.headers().clone());
    let replacement = if quirks.has(Quirk::HtmlErrors) {
        html_page(status)
    } else if quirks.has(Quirk::EmptyErrors) {
        super::requests::empty(status)
    } else {
        return response;
    };
    headers.remove(CONTENT_LENGTH);
    headers.remove(CONTENT_TYPE);
    headers.extend(replacement.headers().clone());
    let mut replacement = replacement.map(|body| body_of(info, body));
    *replacement.headers_mut() = headers;
    replacement
}

fn body_of<R>(info: &RequestInfo, body: bytes::Bytes) -> QuirkyBody<R> {
    match info.method == Method::HEAD {
        true => QuirkyBody::whole(bytes::Bytes::new()),
        false => QuirkyBody::whole(body),
    }
}

/// Changes the headers that describe manifests and blobs.
fn content<R>(quirks: &Quirks, info: &RequestInfo, response: &mut Response<QuirkyBody<R>>) {
    let has = |quirk| quirks.has(quirk);
    let is_manifest = info.endpoint.is_manifest();
    let is_blob = info.endpoint == Endpoint::Blob;
    let (is_get, is_head) = (info.method == Method::GET, info.method == Method::HEAD);
    let is_success = response.status().is_success();
    let hides_length = is_success
        && ((has(Quirk::NoLengthOnHead) && is_head) || (has(Quirk::NoLengthOnGet) && is_get));
    if hides_length {
        response.headers_mut().remove(CONTENT_LENGTH);
        response.body_mut().hide_length();
    }
    let headers = response.headers_mut();
    if has(Quirk::NoDigest)
        || info.is_redirected
        || (has(Quirk::NoDigestOnGet) && is_manifest && is_get)
        || (has(Quirk::NoDigestOnHead) && is_manifest && is_head)
    {
        headers.remove(DOCKER_CONTENT_DIGEST);
    }
    let is_lie = (has(Quirk::WrongManifestDigest) && is_manifest)
        || (has(Quirk::WrongBlobDigest) && is_blob);
    if is_lie && info.is_read() && is_success {
        let digest = Digest::of(b"something else").to_string();
        if let Ok(digest) = HeaderValue::try_from(digest) {
            headers.insert(DOCKER_CONTENT_DIGEST, digest);
        }
    }
    if has(Quirk::NoEtag) {
        headers.remove(ETAG);
    }
    if has(Quirk::EncodingLabel) && (is_manifest || is_blob) && info.is_read() && is_success {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("x-gzip"));
    }
    if is_manifest && is_success {
        if has(Quirk::NoContentType) {
            headers.remove(CONTENT_TYPE);
        }
        if has(Quirk::WrongContentType) && headers.contains_key(CONTENT_TYPE) {
            let octets = HeaderValue::from_static("application/octet-stream");
            headers.insert(CONTENT_TYPE, octets);
        }
    }
    if has(Quirk::ContentTypeParameter)
        && let Some(kind) = text(headers, &CONTENT_TYPE)
        && let Ok(kind) = HeaderValue::try_from(format!("{kind}; charset=utf-8"))
    {
        headers.insert(CONTENT_TYPE, kind);
    }
    if has(Quirk::NoReferrersFilter) {
        headers.remove(OCI_FILTERS_APPLIED);
    }
    let knows_no_subject = [
        Quirk::NoSubject,
        Quirk::DigestTags,
        Quirk::NoReferrers,
        Quirk::NoReferrersNameUnknown,
        Quirk::HtmlReferrers,
    ];
    if knows_no_subject.into_iter().any(has) {
        headers.remove(OCI_SUBJECT);
    }
}

fn uploads(quirks: &Quirks, info: &RequestInfo, status: StatusCode, headers: &mut HeaderMap) {
    let has = |quirk| quirks.has(quirk);
    let is_upload = matches!(info.endpoint, Endpoint::Uploads | Endpoint::Upload);
    let is_patch = info.method == Method::PATCH && info.endpoint == Endpoint::Upload;
    if is_patch && has(Quirk::NoPatchRange) && status.is_success() {
        headers.remove(RANGE);
    }
    if is_patch && has(Quirk::NoPatchLocation) {
        headers.remove(LOCATION);
    }
    if is_upload && let Some(range) = text(headers, &RANGE) {
        let changed = match range.as_str() {
            "0-0" if has(Quirk::NegativeRange) && info.method == Method::POST => {
                Some("0--1".to_owned())
            }
            range if has(Quirk::RangeUnit) => Some(format!("bytes={range}")),
            _ => None,
        };
        if let Some(changed) = changed.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(RANGE, changed);
        }
    }
    if has(Quirk::MinChunk) && info.endpoint == Endpoint::Uploads && status == StatusCode::ACCEPTED
    {
        headers.insert(OCI_CHUNK_MIN_LENGTH, PIECE.into());
    }
}

fn locations(quirks: &Quirks, info: &RequestInfo, headers: &mut HeaderMap) {
    let has = |quirk| quirks.has(quirk);
    if has(Quirk::NoManifestLocation) && info.endpoint.is_manifest() {
        headers.remove(LOCATION);
    }
    let Some(mut location) = text(headers, &LOCATION).filter(|text| text.starts_with("/v2/"))
    else {
        return;
    };
    let id = location.rsplit_once("/blobs/uploads/");
    let id = id.map(|(_, id)| id.to_owned());
    if let Some(id) = &id {
        if has(Quirk::LocationQuery) {
            location = format!("{location}?{}", state_of(id));
        }
        if has(Quirk::RelativeLocation)
            && let Some((_, relative)) = location.rsplit_once('/')
        {
            location = relative.to_owned();
        }
    }
    if has(Quirk::AbsoluteLocation) {
        location = format!("http://{}{location}", info.host);
    }
    if has(Quirk::PortlessLocation) {
        let host = info.host.rsplit_once(':');
        let host = host.map_or(info.host.as_str(), |(host, _)| host);
        location = format!("http://{host}{location}");
    }
    if has(Quirk::ConfiguredHost) {
        location = format!("{CONFIGURED}{location}");
    }
    if let Ok(location) = HeaderValue::try_from(location) {
        headers.insert(LOCATION, location);
    }
}

fn pages(quirks: &Quirks, info: &RequestInfo, headers: &mut HeaderMap) {
    let has = |quirk| quirks.has(quirk);
    let Some(link) = text(headers, &LINK) else {
        return;
    };
    if has(Quirk::NoLink) {
        headers.remove(LINK);
        return;
    }
    let mut link = link;
    if has(Quirk::LinkWithoutRelation)
        && let Some((target, _)) = link.split_once(';')
    {
        link = target.to_owned();
    }
    if has(Quirk::AbsoluteLink) {
        link = link.replacen("</", &format!("<http://{}/", info.host), 1);
    }
    if has(Quirk::ConfiguredHost) {
        link = link.replacen("</", &format!("<{CONFIGURED}/"), 1);
    }
    if let Ok(link) = HeaderValue::try_from(link) {
        headers.insert(LINK, link);
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.to_owned())
}
