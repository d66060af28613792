//! What a refused caller is told: how to authenticate.

use http::header::{HOST, HeaderName, HeaderValue};
use http::request::Parts;

use super::Access;
use super::tokens::TokenIssuer;
use crate::peer::Peer;
use crate::response::value;

/// The path of the token endpoint. It cannot be that of a repository, since paths of repositories have more parts.
pub(crate) const TOKEN_PATH: &str = "/v2/auth/token";

/// How the proxy in front of the server was reached. It is only used to prefer HTTPS, and never to choose a host.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Why the token of a request was refused (RFC 6750, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenError {
    Invalid,
    InsufficientScope,
}

/// Returns the value of `WWW-Authenticate` that asks for Basic credentials (RFC 7617).
pub(crate) fn basic() -> HeaderValue {
    HeaderValue::from_static("Basic realm=\"tranship\", charset=\"UTF-8\"")
}

/// Where a client gets a token for this server.
pub(super) struct TokenSource<'a> {
    realm: String,
    service: &'a str,
}

/// Returns where a client gets tokens: from the external service, or else from this server. Returns `None` if there are
/// no tokens.
pub(super) fn token_source<'a>(access: &'a Access, request: &Parts) -> Option<TokenSource<'a>> {
    if let Some(service) = access.token_service() {
        return Some(TokenSource {
            realm: service.realm().to_owned(),
            service: service.service(),
        });
    }
    let issuer = access.issuer()?;
    let origin = origin(issuer, request)?;
    Some(TokenSource {
        realm: format!("{origin}{TOKEN_PATH}"),
        service: issuer.service(),
    })
}

/// Returns the value of `WWW-Authenticate` that asks for a token of `source` with `scope`.
///
/// It does not offer Basic too: a client may take that, and then fail to pull without a login.
pub(super) fn bearer(
    source: &TokenSource<'_>,
    scope: Option<&str>,
    error: Option<TokenError>,
) -> HeaderValue {
    let TokenSource { realm, service } = source;
    let mut text = format!("Bearer realm=\"{realm}\",service=\"{service}\"");
    if let Some(scope) = scope {
        text.push_str(&format!(",scope=\"{scope}\""));
    }
    match error {
        Some(TokenError::Invalid) => text.push_str(",error=\"invalid_token\""),
        Some(TokenError::InsufficientScope) => text.push_str(",error=\"insufficient_scope\""),
        None => {}
    }
    value(text)
}

/// Returns the scheme and the host at which the client reaches the server, or `None` if neither the options nor the
/// request have a valid host.
///
/// A client can send any host, but only to itself: responses with a challenge are not cached.
fn origin(issuer: &TokenIssuer, request: &Parts) -> Option<String> {
    if let Some(url) = &issuer.options().public_url {
        return Some(url.origin().ascii_serialization());
    }
    let host = match request.uri.authority() {
        Some(authority) => authority.as_str(),
        None => request.headers.get(HOST)?.to_str().ok()?,
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_plain) {
        return None;
    }
    let forwarded = request.headers.get(FORWARDED_PROTO);
    let is_tls = Peer::of(&request.extensions).is_tls
        || forwarded.is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"));
    let scheme = if is_tls { "https" } else { "http" };
    Some(format!("{scheme}://{host}"))
}
