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
    /// Credentials of another scheme, or malformed ones.
    Invalid,
}

impl Credentials {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let Some(header) = headers.get(AUTHORIZATION) else {
            return Self::None;
        };
        match basic(header) {
            Some((user, password)) if user.is_empty() && password.is_empty() => Self::None,
            Some((user, password)) => Self::Basic { user, password },
            None => Self::Invalid,
        }
    }
}

fn basic(header: &HeaderValue) -> Option<(String, Vec<u8>)> {
    let (scheme, credentials) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(credentials.trim()).ok()?;
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    let user = std::str::from_utf8(&decoded[..colon]).ok()?;
    Some((user.to_owned(), decoded[colon + 1..].to_vec()))
}
