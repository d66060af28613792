//! A token server, and the check of its tokens.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};

use super::quirk::Quirk;
use super::quirks::Quirks;
use super::request_info::RequestInfo;
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
    tokens: HashMap<String, Token>,
    /// Repositories that something was pushed to.
    known: HashSet<String>,
}

#[derive(Debug)]
struct Token {
    /// For how many requests it is still good.
    left: u32,
    allows_pushes: bool,
}

impl Tokens {
    /// Returns a new token, or the challenge to get one; `None` if no quirk requires tokens, or the request has one.
    pub(crate) fn intercept(
        &self,
        quirks: &Quirks,
        info: &RequestInfo,
        parts: &Parts,
    ) -> Option<Response<Bytes>> {
        let needs_tokens = [Quirk::ShortTokens, Quirk::PushToLook, Quirk::ManyChallenges];
        if !needs_tokens.into_iter().any(|quirk| quirks.has(quirk)) {
            return None;
        }
        if info.path == REALM {
            return Some(self.give(quirks, info));
        }
        let shown = parts.headers.get(AUTHORIZATION);
        let shown = shown.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        if shown.is_some_and(|token| self.is_good(token, quirks, info)) {
            return None;
        }
        Some(challenge(quirks, info, shown.is_some()))
    }

    fn give(&self, quirks: &Quirks, info: &RequestInfo) -> Response<Bytes> {
        let left = match quirks.has(Quirk::ShortTokens) {
            true => USES,
            false => u32::MAX,
        };
        let allows_pushes = info.parameters("scope").any(|scope| scope.contains("push"));
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.count += 1;
        let token = format!("quirky-{}", given.count);
        given.tokens.insert(
            token.clone(),
            Token {
                left,
                allows_pushes,
            },
        );
        drop(given);
        let mut response = empty(StatusCode::OK);
        *response.body_mut() = format!(r#"{{"token":"{token}","expires_in":300}}"#).into();
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }

    fn is_good(&self, token: &str, quirks: &Quirks, info: &RequestInfo) -> bool {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Given { tokens, known, .. } = &mut *given;
        let Some(token) = tokens.get_mut(token).filter(|token| token.left > 0) else {
            return false;
        };
        token.left -= 1;
        if let Some(repository) = info.repository().filter(|_| quirks.has(Quirk::PushToLook)) {
            if !info.is_read() && token.allows_pushes {
                known.insert(repository.to_owned());
            }
            return token.allows_pushes || known.contains(repository);
        }
        true
    }
}

fn challenge(quirks: &Quirks, info: &RequestInfo, has_token: bool) -> Response<Bytes> {
    let mut response = error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED");
    let problem = match info.repository() {
        // Quay repeats itself, whatever is wrong with the token.
        Some(repository) if quirks.has(Quirk::PushToLook) => {
            format!(r#",scope="repository:{repository}:pull""#)
        }
        _ if has_token => r#",error="invalid_token""#.to_owned(),
        _ => String::new(),
    };
    let host = &info.host;
    let bearer = format!(r#"Bearer realm="http://{host}{REALM}",service="quirky"{problem}"#);
    let headers = response.headers_mut();
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
    response
}
