//! Converts errors of the network and of registries to those of the core.

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

/// Decodes the list of errors in a response (distribution-spec, "Error Codes"). Returns an empty list for other bodies.
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
    let mut message = format!("the registry responds to {method} with {status}");
    if let Some(first) = errors.first() {
        let said = if first.message.is_empty() {
            &first.code
        } else {
            &first.message
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

/// Returns the error for a violation of the protocol, which is not retried.
pub(crate) fn protocol(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, message.into()).with_retryable(false)
}

/// Returns the explanation for content with a wrong size or digest that is labelled as encoded.
pub(crate) fn encoded(coding: &str) -> String {
    let coding: String = coding.chars().take(100).collect();
    format!("the registry sends it with the Content-Encoding {coding:?}, which was not asked for")
}

/// Returns whether a request with this error certainly has not reached the registry.
pub(crate) fn is_unsent(error: &reqwest::Error) -> bool {
    error.is_connect() || error.is_builder()
}

/// Returns whether the server speaks TLS, and one of the two sides has refused the connection.
pub(crate) fn is_of_tls(error: &reqwest::Error) -> bool {
    let found = find::<rustls::Error>(error);
    found.is_some_and(|error| !matches!(error, rustls::Error::InvalidMessage(_)))
}

/// Converts the error of a request or of reading a response. `is_http_told` says whether an option selects http.
pub(crate) fn of_network(error: reqwest::Error, is_http_told: bool) -> Error {
    // The message contains the URL, which may contain a signature.
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
        let message = if error.is_connect() {
            "no connection in time"
        } else {
            "the connection timed out"
        };
        return Error::new(ErrorKind::Timeout, message).with_source(error);
    }
    if error.is_connect() {
        return Error::new(ErrorKind::Unavailable, "the registry cannot be reached")
            .with_hint("look at its name and its port, the network and the proxy")
            .with_source(error);
    }
    if find::<hyper::Error>(&error).is_some_and(hyper::Error::is_parse) {
        let message = "the registry's response is not HTTP, or its head is too long";
        let failed = protocol(message).with_source(error);
        return if is_http_told {
            failed.with_hint(IF_HTTPS)
        } else {
            failed
        };
    }
    // A request that cannot be built fails again.
    let is_unbuilt = error.is_builder()
        || find::<reqwest::Error>(&error).is_some_and(reqwest::Error::is_builder);
    Error::new(ErrorKind::Unavailable, "the connection broke")
        .with_retryable(!is_unbuilt)
        .with_source(error)
}

/// Returns the error for a body or a listing that took too long. It would take as long again.
pub(crate) fn too_slow(limit: std::time::Duration) -> Error {
    let message = format!(
        "the registry takes more than {} seconds",
        limit.as_secs_f32()
    );
    Error::new(ErrorKind::Timeout, message).with_retryable(false)
}

/// Returns the error for a request without progress.
pub(crate) fn silence(limit: std::time::Duration) -> Error {
    Error::new(
        ErrorKind::Timeout,
        format!("nothing happened for {} seconds", limit.as_secs_f32()),
    )
}

/// Finds an error of type `T` among the causes of `error`.
fn find<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // `source` of an `io::Error` skips the error that it contains.
        let io = error.downcast_ref::<std::io::Error>();
        cause = match io.and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(status: u16, body: &str) -> Error {
        let status = StatusCode::from_u16(status).expect("a status");
        let url = Url::parse("https://registry.example/v2/").expect("a URL");
        of_status(&Method::GET, &url, status, registry_errors(body.as_bytes()))
    }

    #[test]
    fn the_code_of_a_registry_decides_before_the_status() {
        let error = error_of(
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
            let error = error_of(404, body);
            assert_eq!(error.kind(), ErrorKind::NotFound, "{body}");
            assert_eq!(error.registry_errors(), [], "{body}");
        }
    }

    #[test]
    fn details_of_any_form_and_missing_fields_are_fine() {
        let error = error_of(
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
        let error = error_of(403, &body);
        assert_eq!(error.registry_errors()[0].code, "DENIED");
        assert_eq!(error.registry_errors()[0].detail, None);
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        let error = error_of(
            500,
            r#"{"errors":[{"code":"X","message":"a\u001b[31mb\n"}]}"#,
        );
        assert_eq!(error.registry_errors()[0].message, "a[31mb");
    }

    #[test]
    fn what_may_pass_is_retryable() {
        assert!(error_of(503, "").is_retryable());
        assert!(error_of(429, "").is_retryable());
        assert!(!error_of(400, "").is_retryable());
    }
}
