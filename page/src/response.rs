//! The responses of the pages, with the headers that protect them.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderName, HeaderValue, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Response, StatusCode};
use http_body::Body as _;
use maud::Markup;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tranship::ByteStream;

use crate::body::PageBody;

/// What a page may load and do: only what this server sends. Nothing inline is run.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
     img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// What foreign content may do if a browser opens it: nothing, and not as a part of this site.
const CONTENT_POLICY: &str = "sandbox; default-src 'none'; frame-ancestors 'none'";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Returns `page` as HTML.
pub(crate) fn html(status: StatusCode, page: Markup) -> Response<PageBody> {
    let mut response = Response::new(PageBody::whole(page.into_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    protect(headers, PAGE_POLICY);
    set(headers, CONTENT_TYPE, "text/html; charset=utf-8");
    // What a user has seen does not stay in the browser after the logout.
    set(headers, CACHE_CONTROL, "no-store");
    response
}

/// Sends the browser to the page at `address` with a GET.
pub(crate) fn see_other(address: &str) -> Response<PageBody> {
    let mut response = Response::new(PageBody::whole(Bytes::new()));
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    protect(headers, PAGE_POLICY);
    set(headers, CACHE_CONTROL, "no-store");
    if let Ok(address) = HeaderValue::from_str(address) {
        headers.insert(LOCATION, address);
    }
    response
}

/// Returns a part of the pages that never changes under its name.
pub(crate) fn asset(content: &'static [u8], media_type: &'static str) -> Response<PageBody> {
    let mut response = Response::new(PageBody::whole(content));
    let headers = response.headers_mut();
    protect(headers, CONTENT_POLICY);
    set(headers, CONTENT_TYPE, media_type);
    set(
        headers,
        CACHE_CONTROL,
        "public, max-age=31536000, immutable",
    );
    response
}

/// Returns foreign content as a file with `name` that the browser saves.
pub(crate) fn download(bytes: ByteStream, length: u64, name: &str) -> Response<PageBody> {
    let mut response = Response::new(PageBody::stream(bytes, length));
    let headers = response.headers_mut();
    protect(headers, CONTENT_POLICY);
    set(headers, CONTENT_TYPE, "application/octet-stream");
    set(headers, CACHE_CONTROL, "no-store");
    headers.insert(CONTENT_LENGTH, length.into());
    // RFC 6266: the encoded name cannot end the header or the parameter.
    let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename*=UTF-8''{name}"))
    {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    response
}

/// Removes the body from a response to HEAD, and keeps its length.
pub(crate) fn without_body(response: &mut Response<PageBody>) {
    if let Some(length) = response.body().size_hint().exact() {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    *response.body_mut() = PageBody::whole(Bytes::new());
}

fn protect(headers: &mut HeaderMap, policy: &'static str) {
    set(headers, CONTENT_SECURITY_POLICY, policy);
    set(headers, X_CONTENT_TYPE_OPTIONS, "nosniff");
    // With `no-referrer`, browsers would hide the origin of forms, which is checked.
    set(headers, REFERRER_POLICY, "same-origin");
    set(headers, OPENER_POLICY, "same-origin");
    set(headers, RESOURCE_POLICY, "same-origin");
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}
