//! What a page shows when it cannot show what was asked for.

use std::time::Duration;

use http::StatusCode;
use tranship::{Error, ErrorKind};

/// A page that cannot be shown.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// When to try again, if that is known.
    pub(crate) retry_after: Option<Duration>,
    /// Whether the audit log has a record of it already.
    pub(crate) is_recorded: bool,
}

impl Failure {
    fn new(status: StatusCode, title: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            title,
            message: message.into(),
            hint: None,
            retry_after: None,
            is_recorded: false,
        }
    }

    /// Returns the failure as one that the audit log has a record of.
    pub(crate) fn recorded(self) -> Self {
        Self {
            is_recorded: true,
            ..self
        }
    }

    /// The same for what does not exist and for what the viewer may not read.
    pub(crate) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "Not found",
            "It does not exist, or you may not read it.",
        )
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Invalid request", message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Not allowed", message)
    }

    pub(crate) fn not_possible(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Not possible", message)
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "Invalid request",
            "The page does not have this method.",
        )
    }

    pub(crate) fn too_many_requests(wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "Too many requests",
                format!("Try again in {} s.", wait.as_secs()),
            )
        }
    }

    pub(crate) fn unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Not available",
            "The registry cannot respond now. Try again later.",
        )
    }

    /// Too many others read layers.
    pub(crate) fn busy() -> Self {
        Self {
            retry_after: Some(Duration::from_secs(5)),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "Not available",
                "Files of other images are being read. Try again in a few seconds.",
            )
        }
    }

    pub(crate) fn timeout() -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "Too slow",
            "Reading this took too long. Use the command line for large images.",
        )
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        use ErrorKind::*;
        let mut failure = match error.kind() {
            NotFound => return Self::not_found(),
            InvalidReference | InvalidDigest | InvalidInput | RangeInvalid => {
                Self::bad_request(error.to_string())
            }
            Unsupported | SizeExceedsLimit | InvalidMediaType => {
                Self::not_possible(error.to_string())
            }
            // Usually it was pushed so. If the storage has damaged it, that is in the log.
            InvalidManifest | Corrupt | DigestMismatch | SizeMismatch => {
                tracing::warn!(%error, "a page cannot be shown");
                Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "Damaged content",
                    error.to_string(),
                )
            }
            Denied => Self::forbidden(error.to_string()),
            Conflict => Self::new(StatusCode::CONFLICT, "Conflict", error.to_string()),
            RateLimited => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "Too many requests",
                "Try again in a few seconds.",
            ),
            Timeout | Unavailable => {
                tracing::warn!(%error, "a page cannot be shown");
                return Self::unavailable();
            }
            // The text may name paths and hosts that are not for the viewers of a page.
            _ => {
                tracing::error!(%error, "a page cannot be shown");
                return Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "Failed",
                    "The registry failed. Its log says more.",
                );
            }
        };
        failure.hint = error.hint().map(str::to_owned);
        failure
    }
}
