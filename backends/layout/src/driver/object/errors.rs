//! Converts the errors of object stores, and removes the secrets in their texts.

use std::error::Error as _;
use std::io;

use object_store::client::{HttpError, HttpErrorKind};
use object_store::path::Path;
use tranship::{Error, ErrorKind};

use super::redact::redact;
use super::store_url::StoreUrl;

const NO_BUCKET: [&str; 4] = [
    "NoSuchBucket",
    "ContainerNotFound",
    "FilesystemNotFound",
    "bucket does not exist",
];
const BAD_BUCKET_NAME: [&str; 2] = ["InvalidBucketName", "Invalid bucket name"];
const BAD_CREDENTIALS: [&str; 10] = [
    "AccessTokenExpired",
    "AuthenticationFailed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "NoAuthenticationInformation",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    // The servers that give credentials to machines in a cloud. Machines elsewhere cannot reach them.
    "169.254.169.254",
    "metadata.google.internal",
];
const SLOWER: [&str; 6] = [
    "SlowDown",
    "ServerBusy",
    "TooManyRequests",
    "RequestLimitExceeded",
    "Throttling",
    "OperationAborted",
];
const FULL: [&str; 3] = ["StorageFull", "QuotaExceeded", "InsufficientStorage"];
const WRONG_REGION: [&str; 3] = [
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "without LOCATION",
];
/// Returns the error for an object `key` that could not be `done`, such as "read".
pub(super) fn failed(url: &StoreUrl, done: &str, key: &Path, error: object_store::Error) -> Error {
    let text = text_of(&error);
    let (kind, hint) = classify(&error, &text);
    let message = match kind {
        ErrorKind::NotFound if is_missing_bucket(&text) => {
            return missing_bucket(url).with_source(redact(&text));
        }
        ErrorKind::NotFound => "not found".to_owned(),
        _ => format!("cannot be {done}"),
    };
    let failure = Error::new(kind, message)
        .with_subject(url.of(key))
        .with_source(redact(&text));
    let failure = match kind {
        ErrorKind::Conflict => failure.with_retryable(true),
        _ => failure,
    };
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// Returns the error for an object that could not be written. A write needs no existing object, so that "not found" is
/// about the bucket.
pub(super) fn not_written(url: &StoreUrl, key: &Path, error: object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => {
            missing_bucket(url).with_source(redact(&text_of(&error)))
        }
        error => failed(url, "written", key, error),
    }
}

fn missing_bucket(url: &StoreUrl) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "the bucket or container does not exist",
    )
    .with_subject(url)
    .with_hint("create it first, or check its name, the region and the endpoint")
}

/// Returns whether the bucket is missing, and not the object.
pub(super) fn names_missing_bucket(error: &object_store::Error) -> bool {
    is_missing_bucket(&text_of(error))
}

/// Returns whether the store does not support the operation.
pub(super) fn is_not_offered(error: &object_store::Error) -> bool {
    use object_store::Error as E;
    matches!(error, E::NotImplemented { .. } | E::NotSupported { .. })
}

fn is_missing_bucket(text: &str) -> bool {
    contains_any(text, &NO_BUCKET)
}

fn contains_any(text: &str, codes: &[&str]) -> bool {
    codes.iter().any(|code| text.contains(code))
}

fn classify(error: &object_store::Error, text: &str) -> (ErrorKind, Option<&'static str>) {
    use object_store::Error as E;

    if is_missing_bucket(text) {
        return (ErrorKind::NotFound, None);
    }
    if contains_any(text, &BAD_BUCKET_NAME) {
        return (ErrorKind::InvalidInput, Some(BUCKET_NAME));
    }
    if contains_any(text, &BAD_CREDENTIALS) {
        return (ErrorKind::Unauthorized, Some(CREDENTIALS));
    }
    match error {
        E::NotFound { .. } => (ErrorKind::NotFound, None),
        E::AlreadyExists { .. } | E::Precondition { .. } | E::NotModified { .. } => {
            (ErrorKind::Conflict, None)
        }
        E::NotSupported { .. } | E::NotImplemented { .. } => (ErrorKind::Unsupported, None),
        E::PermissionDenied { .. } => (
            ErrorKind::PermissionDenied,
            Some(
                "the credentials must allow reading, writing, deleting and listing objects; \
                 without the right to list, S3 returns this error also for objects that do not exist",
            ),
        ),
        E::Unauthenticated { .. } => (ErrorKind::Unauthorized, Some(CREDENTIALS)),
        E::InvalidPath { .. } | E::UnknownConfigurationKey { .. } => {
            (ErrorKind::InvalidInput, None)
        }
        _ => match classify_transport(error) {
            Some(ErrorKind::Unavailable) => (ErrorKind::Unavailable, Some(UNREACHABLE)),
            Some(kind) => (kind, None),
            None => classify_response(text),
        },
    }
}

const UNREACHABLE: &str = "check the endpoint of the store, and that it can be reached";

const BUCKET_NAME: &str = "no bucket can have this name: a name has 3 to 63 lower-case letters, digits, dots \
                           and hyphens, with a letter or digit at either end";

const CREDENTIALS: &str = "give credentials through the environment (AWS_…, GOOGLE_…, AZURE_…) or as \
                           options of the store, and check that they are still valid";

/// Classifies an error without a response: of the HTTP client, or of a store without one. Returns `None` for other errors.
fn classify_transport(error: &object_store::Error) -> Option<ErrorKind> {
    std::iter::successors(error.source(), |&error| error.source()).find_map(|error| {
        if let Some(error) = error.downcast_ref::<HttpError>() {
            return Some(match error.kind() {
                HttpErrorKind::Timeout => ErrorKind::Timeout,
                // Also for `Decode`, which is the kind of a connection that was closed within a response.
                _ => ErrorKind::Unavailable,
            });
        }
        match error.downcast_ref::<io::Error>()?.kind() {
            io::ErrorKind::TimedOut => Some(ErrorKind::Timeout),
            io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NotConnected => Some(ErrorKind::Unavailable),
            _ => None,
        }
    })
}

/// Classifies an error by the response of the store. `object_store` does not export the type of errors that have its
/// status and its body, so they are read from the text.
fn classify_response(text: &str) -> (ErrorKind, Option<&'static str>) {
    match status_of(text) {
        _ if contains_any(text, &FULL) => (ErrorKind::StorageFull, None),
        Some(429 | 503) => (ErrorKind::RateLimited, None),
        _ if contains_any(text, &SLOWER) => (ErrorKind::RateLimited, None),
        _ if contains_any(text, &WRONG_REGION) => (
            ErrorKind::InvalidInput,
            Some("the bucket is in another region: set the option aws_region or AWS_REGION"),
        ),
        Some(401) => (ErrorKind::Unauthorized, Some(CREDENTIALS)),
        Some(403) => (ErrorKind::PermissionDenied, None),
        Some(507) => (ErrorKind::StorageFull, None),
        Some(408 | 504) => (ErrorKind::Timeout, None),
        Some(500..) => (ErrorKind::Unavailable, None),
        Some(_) => (ErrorKind::Io, None),
        None => (ErrorKind::Io, None),
    }
}

/// Returns the HTTP status in the text of an error.
fn status_of(text: &str) -> Option<u16> {
    let (_, after) = text.split_once("status code: ")?;
    after.get(..3)?.parse().ok()
}

/// Returns the messages of the error and its sources.
fn text_of(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Most errors repeat the message of their source.
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    fn url() -> StoreUrl {
        StoreUrl::new(&InMemory::new())
    }

    fn generic(text: &str) -> object_store::Error {
        object_store::Error::Generic {
            store: "S3",
            source: text.to_owned().into(),
        }
    }

    fn transport(kind: HttpErrorKind) -> object_store::Error {
        object_store::Error::Generic {
            store: "S3",
            source: HttpError::new(kind, io::Error::other("error sending request")).into(),
        }
    }

    fn response(status: &str, code: &str) -> object_store::Error {
        generic(&format!(
            "Error performing PUT http://h/b/k in 1ms - Server returned non-2xx status code: \
             {status}: <?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message></Error>"
        ))
    }

    #[test]
    fn each_response_has_its_kind() {
        for (error, kind, retryable) in [
            (
                response("503 Service Unavailable", "SlowDown"),
                ErrorKind::RateLimited,
                true,
            ),
            (
                response("429 Too Many Requests", ""),
                ErrorKind::RateLimited,
                true,
            ),
            (
                response("500 Internal Server Error", "InternalError"),
                ErrorKind::Unavailable,
                true,
            ),
            (
                response("404 Not Found", "NoSuchBucket"),
                ErrorKind::NotFound,
                false,
            ),
            (
                response(
                    "404 The specified container does not exist.",
                    "ContainerNotFound",
                ),
                ErrorKind::NotFound,
                false,
            ),
            (
                response("400 Bad Request", "InvalidBucketName"),
                ErrorKind::InvalidInput,
                false,
            ),
            (
                response("403 Forbidden", "InvalidAccessKeyId"),
                ErrorKind::Unauthorized,
                false,
            ),
            (
                response("507 Insufficient Storage", "XMinioStorageFull"),
                ErrorKind::StorageFull,
                false,
            ),
            (
                response("400 Bad Request", "InvalidPart"),
                ErrorKind::Io,
                false,
            ),
            (transport(HttpErrorKind::Timeout), ErrorKind::Timeout, true),
            (
                transport(HttpErrorKind::Connect),
                ErrorKind::Unavailable,
                true,
            ),
        ] {
            let text = error.to_string();
            let error = failed(&url(), "written", &Path::from("k"), error);
            assert_eq!(
                (error.kind(), error.is_retryable()),
                (kind, retryable),
                "{text}"
            );
        }
    }
}
