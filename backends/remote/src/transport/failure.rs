//! From what the network or a registry answers to the core's errors.

use std::error::Error as StdError;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tranship::{Error, ErrorKind, RegistryError};
use url::Url;

use super::tls_failure;
use crate::redacted_url::redacted_url;
use crate::resolver::{PrivateAddress, UnknownHost};

/// For clients that were told to speak http to a registry that may expect https.
pub(crate) const IF_HTTPS: &str = "if it speaks https, leave out --plain-http";

/// The longest `detail` of a registry's error that is kept, in bytes of JSON.
const LONGEST_DETAIL: usize = 8 * 1024;

/// The error list of an answer (distribution-spec, "Error Codes"). Empty where the body is something
/// else.
pub(crate) fn registry_errors(body: &[u8]) -> Vec<RegistryError> {
    #[derive(Deserialize)]
    struct Body {
        errors: Option<Vec<Option<Entry>>>,
    }
    #[derive(Deserialize)]
    struct Entry {
        #[serde(default)]
        code: Option<String>,
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        detail: Option<Value>,
    }
    let Ok(body) = serde_json::from_slice::<Body>(body) else {
        return Vec::new();
    };
    let entries = body.errors.unwrap_or_default();
    let printable = |text: Option<String>| -> String {
        let text = text.unwrap_or_default();
        text.chars()
            .filter(|one| !one.is_control())
            .take(1000)
            .collect()
    };
    entries
        .into_iter()
        .flatten()
        .take(20)
        .map(|entry| {
            RegistryError::new(printable(entry.code), printable(entry.message))
                .with_detail(entry.detail.filter(is_short))
        })
        .collect()
}

fn is_short(detail: &Value) -> bool {
    detail.to_string().len() <= LONGEST_DETAIL
}

/// Returns the error for a request to `url` with `method` that was refused with `status`, with the registry's own list.
pub(crate) fn of_status(
    method: &Method,
    url: &Url,
    status: StatusCode,
    errors: Vec<RegistryError>,
) -> Error {
    let kind = errors
        .iter()
        .find_map(|error| kind_of_code(&error.code, status))
        .unwrap_or_else(|| kind_of_status(status));
    let mut message = format!("the registry answers {method} with {status}");
    if let Some(first) = errors.first() {
        let said = match first.message.is_empty() {
            true => &first.code,
            false => &first.message,
        };
        if !said.is_empty() {
            message = format!("{message}: {said}");
        }
    }
    Error::new(kind, message)
        .with_retryable(super::retry::is_transient(status))
        .with_registry_errors(errors)
        .with_http_status(status.as_u16())
        .with_http_request(method.as_str(), &redacted_url(url))
}

fn kind_of_code(code: &str, status: StatusCode) -> Option<ErrorKind> {
    Some(match code {
        "DIGEST_INVALID" => ErrorKind::DigestMismatch,
        "SIZE_INVALID" => ErrorKind::SizeMismatch,
        "NAME_INVALID" => ErrorKind::InvalidReference,
        "MANIFEST_INVALID" | "MANIFEST_UNVERIFIED" => ErrorKind::InvalidManifest,
        "MANIFEST_BLOB_UNKNOWN" => ErrorKind::ManifestBlobUnknown,
        "BLOB_UNKNOWN" | "MANIFEST_UNKNOWN" | "NAME_UNKNOWN" | "BLOB_UPLOAD_UNKNOWN" => {
            ErrorKind::NotFound
        }
        "RANGE_INVALID" => ErrorKind::RangeInvalid,
        "UNAUTHORIZED" if status == StatusCode::UNAUTHORIZED => ErrorKind::Unauthorized,
        "DENIED" if status.is_client_error() => ErrorKind::Denied,
        "UNSUPPORTED" => ErrorKind::Unsupported,
        "TOOMANYREQUESTS" => ErrorKind::RateLimited,
        _ => return None,
    })
}

fn kind_of_status(status: StatusCode) -> ErrorKind {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            ErrorKind::Unauthorized
        }
        StatusCode::FORBIDDEN => ErrorKind::Denied,
        StatusCode::NOT_FOUND | StatusCode::GONE => ErrorKind::NotFound,
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => ErrorKind::Unsupported,
        StatusCode::REQUEST_TIMEOUT => ErrorKind::Timeout,
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => ErrorKind::Conflict,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::SizeExceedsLimit,
        StatusCode::RANGE_NOT_SATISFIABLE => ErrorKind::RangeInvalid,
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::RateLimited,
        StatusCode::INSUFFICIENT_STORAGE => ErrorKind::StorageFull,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => ErrorKind::InvalidInput,
        _ => ErrorKind::Unavailable,
    }
}

/// Why a request has no response.
pub(super) struct SendError {
    pub(super) error: Error,
    /// Whether the request certainly did not reach the registry.
    pub(super) is_unsent: bool,
}

impl From<Error> for SendError {
    fn from(error: Error) -> Self {
        Self {
            error,
            is_unsent: false,
        }
    }
}

/// A registry that breaks the rules of the protocol; asking again would not help.
pub(crate) fn protocol(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, message.into()).with_retryable(false)
}

/// The explanation for content that has a wrong size or digest and is labelled as encoded.
pub(crate) fn encoded(coding: &str) -> String {
    let coding: String = coding.chars().take(100).collect();
    format!("the registry sends it with the Content-Encoding {coding:?}, which was not asked for")
}

/// Whether a request that failed in this way has surely not reached the registry.
pub(crate) fn is_unsent(error: &reqwest::Error) -> bool {
    error.is_connect() || error.is_builder()
}

/// Whether the other side speaks TLS, and a connection is refused all the same, by it or by us.
pub(crate) fn is_of_tls(error: &reqwest::Error) -> bool {
    let found = find::<rustls::Error>(error);
    found.is_some_and(|error| !matches!(error, rustls::Error::InvalidMessage(_)))
}

/// What a request failed with before it was answered, or while its answer was read. `is_http_told` says whether an
/// option chose http.
pub(crate) fn of_network(error: reqwest::Error, is_http_told: bool) -> Error {
    // Its own words would name the URL, which may carry a signature.
    let error = error.without_url();
    if find::<PrivateAddress>(&error).is_some() {
        return Error::new(
            ErrorKind::PermissionDenied,
            "the security policy does not allow the connection",
        )
        .with_source(error);
    }
    if let Some(error) = find::<rustls::Error>(&error) {
        return tls_failure::of_tls(error);
    }
    if let Some(UnknownHost(host)) = find(&error) {
        return Error::new(
            ErrorKind::Unavailable,
            format!("the host {host} does not exist"),
        )
        .with_retryable(false)
        .with_hint("look at the spelling of its name, or at the name server")
        .with_source(error);
    }
    if error.is_timeout() {
        return Error::new(ErrorKind::Timeout, "no connection in time").with_source(error);
    }
    if error.is_connect() {
        return Error::new(ErrorKind::Unavailable, "the registry cannot be reached")
            .with_hint("look at its name and its port, and at the network or the proxy between")
            .with_source(error);
    }
    // A request that could not even be made will not get better.
    let is_ours = error.is_builder()
        || find::<reqwest::Error>(&error).is_some_and(reqwest::Error::is_builder);
    let causes = format!("{error}\n{}", causes(&error));
    if causes.contains("invalid HTTP version") {
        let failed = Error::new(ErrorKind::Unavailable, "the registry does not speak HTTP")
            .with_retryable(false)
            .with_source(error);
        return if is_http_told {
            failed.with_hint(IF_HTTPS)
        } else {
            failed
        };
    }
    // An answer that is no HTTP will not get better.
    let malformed = causes.contains("invalid HTTP") || causes.contains("message head is too large");
    Error::new(ErrorKind::Unavailable, "the connection broke")
        .with_retryable(!is_ours && !malformed)
        .with_source(error)
}

/// What took too long as a whole. It would take as long again.
pub(crate) fn too_slow(limit: std::time::Duration) -> Error {
    let message = format!(
        "the registry takes more than {} seconds",
        limit.as_secs_f32()
    );
    Error::new(ErrorKind::Timeout, message).with_retryable(false)
}

/// What nothing was heard of for too long.
pub(crate) fn silence(limit: std::time::Duration) -> Error {
    Error::new(
        ErrorKind::Timeout,
        format!("nothing happened for {} seconds", limit.as_secs_f32()),
    )
}

fn find<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // The content of an error of input and output is not its source.
        let io = error.downcast_ref::<std::io::Error>();
        cause = match io.and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn causes(error: &dyn StdError) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&error.to_string());
        text.push('\n');
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> Error {
        let status = StatusCode::from_u16(status).expect("a status");
        let url = Url::parse("https://registry.example/v2/").expect("a URL");
        of_status(&Method::GET, &url, status, registry_errors(body.as_bytes()))
    }

    #[test]
    fn the_code_of_a_registry_decides_before_the_status() {
        let error = answered(
            400,
            r#"{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}"#,
        );
        assert_eq!(error.kind(), ErrorKind::DigestMismatch);
        assert_eq!(error.registry_errors()[0].code, "DIGEST_INVALID");
        assert!(
            error.to_string().ends_with("400 Bad Request: no"),
            "{error}"
        );
    }

    #[test]
    fn bodies_that_are_no_list_leave_the_status() {
        for body in [
            "",
            "<html>",
            "{}",
            "[]",
            r#"{"errors":null}"#,
            r#"{"errors":{}}"#,
        ] {
            let error = answered(404, body);
            assert_eq!(error.kind(), ErrorKind::NotFound, "{body}");
            assert_eq!(error.registry_errors(), [], "{body}");
        }
    }

    #[test]
    fn details_of_any_form_and_missing_fields_are_fine() {
        let error = answered(
            403,
            r#"{"errors":[null,{"detail":[1,{"a":2}]},{"code":null}]}"#,
        );
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(error.registry_errors().len(), 2);
        let detail = serde_json::json!([1, {"a": 2}]);
        assert_eq!(error.registry_errors()[0].detail, Some(detail));
    }

    #[test]
    fn a_long_detail_is_left_out() {
        let detail = "x".repeat(LONGEST_DETAIL);
        let body = format!(r#"{{"errors":[{{"code":"DENIED","detail":"{detail}"}}]}}"#);
        let error = answered(403, &body);
        assert_eq!(error.registry_errors()[0].code, "DENIED");
        assert_eq!(error.registry_errors()[0].detail, None);
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        let error = answered(
            500,
            r#"{"errors":[{"code":"X","message":"a\u001b[31mb\n"}]}"#,
        );
        assert_eq!(error.registry_errors()[0].message, "a[31mb");
    }

    #[test]
    fn what_may_pass_is_retryable() {
        assert!(answered(503, "").is_retryable());
        assert!(answered(429, "").is_retryable());
        assert!(!answered(400, "").is_retryable());
    }
}
