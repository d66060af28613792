//! The credentials in the header of a request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};

/// The credentials that a request carries.
pub(super) enum Credentials {
    /// No credentials. Empty Basic credentials count as none: podman and skopeo send them if they do not have a login.
    None,
    /// A user and a password (RFC 7617).
    Basic { user: String, password: Vec<u8> },
    /// A token (RFC 6750).
    Bearer(String),
    /// Credentials of another scheme, or malformed ones.
    Invalid,
}

impl Credentials {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let Some(header) = headers.get(AUTHORIZATION) else {
            return Self::None;
        };
        parse(header).unwrap_or(Self::Invalid)
    }
}

fn parse(header: &HeaderValue) -> Option<Credentials> {
    let (scheme, credentials) = header.to_str().ok()?.split_once(' ')?;
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Credentials::Bearer(credentials.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let (user, password) = basic(credentials)?;
    if user.is_empty() && password.is_empty() {
        return Some(Credentials::None);
    }
    Some(Credentials::Basic { user, password })
}

fn basic(credentials: &str) -> Option<(String, Vec<u8>)> {
    let decoded = STANDARD.decode(credentials).ok()?;
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    let user = std::str::from_utf8(&decoded[..colon]).ok()?;
    Some((user.to_owned(), decoded[colon + 1..].to_vec()))
}
