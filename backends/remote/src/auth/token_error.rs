//! The error of a response of a token server without a token.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde::Deserialize;
use tranship::{Error, ErrorKind, RegistryError};
use url::Url;

use crate::credentials::{Credential, Secret};
use crate::redacted_url::redacted_url;

/// The most entries of an error list that are kept.
const MOST_ERRORS: usize = 16;

/// The most characters of a message that are kept.
const LONGEST_MESSAGE: usize = 400;

/// The request that a response of a token server is for, in the extensions of the response.
#[derive(Debug, Clone)]
pub(crate) struct TokenRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
}

/// Returns the error for a response that is not a success.
pub(crate) fn refusal(response: &Response<Bytes>, credential: Option<&Credential>) -> Error {
    let status = response.status();
    let (kind, what) = match (status, credential) {
        (StatusCode::UNAUTHORIZED, None) => (
            ErrorKind::Unauthorized,
            "the token server gives no token to anonymous users",
        ),
        (StatusCode::UNAUTHORIZED, Some(_)) => (
            ErrorKind::Unauthorized,
            "the token server refuses the credentials",
        ),
        // OAuth2 responds with 400 to a refresh token that has expired.
        (StatusCode::BAD_REQUEST, Some(Credential::IdentityToken(_))) => (
            ErrorKind::Unauthorized,
            "the token server refuses the identity token",
        ),
        (StatusCode::FORBIDDEN, None) => (
            ErrorKind::Unauthorized,
            "the token server gives no such token to anonymous users",
        ),
        (StatusCode::FORBIDDEN, Some(_)) => (
            ErrorKind::Denied,
            "the token server gives no such token to this user",
        ),
        (StatusCode::TOO_MANY_REQUESTS, _) => {
            (ErrorKind::RateLimited, "the token server asks to slow down")
        }
        (StatusCode::REQUEST_TIMEOUT, _) => {
            (ErrorKind::Unavailable, "the token server gave no token")
        }
        (status, _) if status.is_server_error() => {
            (ErrorKind::Unavailable, "the token server failed")
        }
        _ => (ErrorKind::Unauthorized, "the token server gave no token"),
    };
    let error = Error::new(kind, format!("{what} ({status})"))
        .with_http_status(status.as_u16())
        .with_registry_errors(registry_errors(response.body(), credential));
    match response.extensions().get::<TokenRequest>() {
        Some(asked) => error.with_http_request(asked.method.as_str(), &redacted_url(&asked.url)),
        None => error,
    }
}

/// The forms in which token servers explain themselves: that of registries, that of OAuth2, and
/// that of Docker Hub.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Explanation {
    errors: Option<Vec<Option<Entry>>>,
    error: Option<String>,
    error_description: Option<String>,
    details: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    code: Option<String>,
    message: Option<String>,
}

fn registry_errors(body: &[u8], credential: Option<&Credential>) -> Vec<RegistryError> {
    let Ok(explanation) = serde_json::from_slice::<Explanation>(body) else {
        return Vec::new();
    };
    let entries = explanation.errors.unwrap_or_default();
    let mut entries: Vec<Entry> = entries.into_iter().flatten().collect();
    if let Some(code) = explanation.error {
        entries.push(Entry {
            code: Some(code),
            message: explanation.error_description,
        });
    } else if let Some(message) = explanation.details {
        entries.push(Entry {
            code: Some("UNAUTHORIZED".to_owned()),
            message: Some(message),
        });
    }
    entries
        .into_iter()
        .take(MOST_ERRORS)
        // A detail is left out: the credentials may be anywhere in it, in any form.
        .map(|entry| {
            RegistryError::new(
                presentable(&entry.code.unwrap_or_default(), credential),
                presentable(&entry.message.unwrap_or_default(), credential),
            )
        })
        .collect()
}

/// Text of the server, on one line, and without the secret that it may have repeated.
fn presentable(text: &str, credential: Option<&Credential>) -> String {
    let text = match credential.map(secret).map(Secret::expose) {
        Some(secret) if !secret.is_empty() => text.replace(secret, "…"),
        _ => text.to_owned(),
    };
    text.chars()
        .take(LONGEST_MESSAGE)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn secret(credential: &Credential) -> &Secret {
    match credential {
        Credential::Basic { password, .. } => password,
        Credential::IdentityToken(token) | Credential::AccessToken(token) => token,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &'static str, credential: Option<&Credential>) -> Error {
        let mut response = Response::new(Bytes::from_static(body.as_bytes()));
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        refusal(&response, credential)
    }

    #[test]
    fn each_status_has_its_kind() {
        let user = Credential::basic("user", "hunter2");
        let identity = Credential::IdentityToken("hunter2".into());
        for (status, credential, kind, retryable) in [
            (401, None, ErrorKind::Unauthorized, false),
            (401, Some(&user), ErrorKind::Unauthorized, false),
            (400, Some(&identity), ErrorKind::Unauthorized, false),
            (403, None, ErrorKind::Unauthorized, false),
            (403, Some(&user), ErrorKind::Denied, false),
            (404, None, ErrorKind::Unauthorized, false),
            (302, None, ErrorKind::Unauthorized, false),
            (408, None, ErrorKind::Unavailable, true),
            (429, None, ErrorKind::RateLimited, true),
            (500, None, ErrorKind::Unavailable, true),
            (503, Some(&user), ErrorKind::Unavailable, true),
        ] {
            let error = refused(status, "", credential);
            assert_eq!(error.kind(), kind, "{status}");
            assert_eq!(error.is_retryable(), retryable, "{status}");
            assert!(error.to_string().contains(&status.to_string()), "{error}");
        }
    }

    #[test]
    fn what_the_server_says_is_kept() {
        for (body, code, message) in [
            (
                r#"{"errors":[{"code":"DENIED","message":"not yours","detail":{}}]}"#,
                "DENIED",
                "not yours",
            ),
            (
                r#"{"error":"invalid_grant","error_description":"too\nold"}"#,
                "invalid_grant",
                "too old",
            ),
            (
                r#"{"errors":[null,{"code":"DENIED","message":null}],"error":null}"#,
                "DENIED",
                "",
            ),
            (
                r#"{"errors":null,"details":"incorrect username or password"}"#,
                "UNAUTHORIZED",
                "incorrect username or password",
            ),
        ] {
            let error = refused(401, body, None);
            let [entry] = error.registry_errors() else {
                panic!("{error:?}");
            };
            assert_eq!(
                (entry.code.as_str(), entry.message.as_str()),
                (code, message)
            );
        }
        assert!(refused(401, "<html>", None).registry_errors().is_empty());
    }

    #[test]
    fn a_secret_that_the_server_repeats_is_not_passed_on() {
        let user = Credential::basic("user", "hunter2");
        let body = r#"{"errors":[{"code":"X","message":"user:hunter2 is wrong"}]}"#;
        let error = refused(401, body, Some(&user));
        assert_eq!(error.registry_errors()[0].message, "user:… is wrong");
    }
}
