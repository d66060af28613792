//! A token server, and the door that its tokens open.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};

use super::asked::Asked;
use super::quirk::Quirk;
use super::quirky::Quirks;
use super::requests::{empty, error};

/// Where tokens are given, on the same host.
const REALM: &str = "/token";

/// For how many requests a token is good under [`Quirk::ShortTokens`].
const USES: u32 = 3;

/// The tokens that were given, and for how many requests each is still good.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<Given>);

#[derive(Debug, Default)]
struct Given {
    count: u64,
    left: HashMap<String, u32>,
}

impl Tokens {
    /// A new token, the challenge to get one, or nothing for who has one.
    pub(crate) fn instead(
        &self,
        quirks: &Quirks,
        asked: &Asked,
        parts: &Parts,
    ) -> Option<Response<Bytes>> {
        if asked.path == REALM {
            return Some(self.give(quirks));
        }
        let shown = parts.headers.get(AUTHORIZATION);
        let shown = shown.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        if shown.is_some_and(|token| self.is_good(token)) {
            return None;
        }
        Some(challenge(quirks, asked, shown.is_some()))
    }

    fn give(&self, quirks: &Quirks) -> Response<Bytes> {
        let uses = match quirks.has(Quirk::ShortTokens) {
            true => USES,
            false => u32::MAX,
        };
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.count += 1;
        let token = format!("quirky-{}", given.count);
        given.left.insert(token.clone(), uses);
        drop(given);
        let mut answer = empty(StatusCode::OK);
        *answer.body_mut() = format!(r#"{{"token":"{token}","expires_in":300}}"#).into();
        let json = HeaderValue::from_static("application/json");
        answer.headers_mut().insert(CONTENT_TYPE, json);
        answer
    }

    fn is_good(&self, token: &str) -> bool {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = given.left.get_mut(token).filter(|left| **left > 0) else {
            return false;
        };
        *left -= 1;
        true
    }
}

fn challenge(quirks: &Quirks, asked: &Asked, has_token: bool) -> Response<Bytes> {
    let mut answer = error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED");
    let problem = if has_token {
        r#",error="invalid_token""#
    } else {
        ""
    };
    let host = &asked.host;
    let bearer = format!(r#"Bearer realm="http://{host}{REALM}",service="quirky"{problem}"#);
    let headers = answer.headers_mut();
    if quirks.has(Quirk::ManyChallenges) {
        let first = HeaderValue::from_static(r#"Digest realm="a, \"b\"", nonce="Bearer x=1""#);
        headers.append(WWW_AUTHENTICATE, first);
        let several = format!(r#"Negotiate, {bearer}, Basic realm="c", NTLM dG9rZW4="#);
        if let Ok(several) = HeaderValue::try_from(several) {
            headers.append(WWW_AUTHENTICATE, several);
        }
    } else if let Ok(bearer) = HeaderValue::try_from(bearer) {
        headers.append(WWW_AUTHENTICATE, bearer);
    }
    answer
}
