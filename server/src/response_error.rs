//! Error responses: a status, and the error list of the distribution spec.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde::Serialize;
use tranship::{Error, ErrorKind};

use crate::mirrors::{LOOP_DETECTED, UpstreamError};
use crate::rate_limit::retry_after;
use crate::response_body::ResponseBody;

/// The error codes of the distribution spec, and `UNKNOWN` of Docker's registry for an internal error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    SizeInvalid,
    Denied,
    Unsupported,
    TooManyRequests,
    Unauthorized,
    Unknown,
}

impl ErrorCode {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::Denied => "DENIED",
            Self::Unsupported => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// The kind of resource that a request is about, on which the meaning of a backend's error depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    /// An existing blob.
    Blob,
    /// An existing manifest or tag.
    Manifest,
    /// A manifest that the client sends.
    NewManifest,
    /// An upload of a blob, and the bytes that the client sends.
    Upload,
    /// A repository, or the list of repositories.
    Repository,
}

/// An error response.
#[derive(Debug)]
pub(crate) struct ResponseError {
    status: StatusCode,
    code: ErrorCode,
    message: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl ResponseError {
    pub(crate) fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            headers: Vec::new(),
        }
    }

    pub(crate) fn bad_request(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn code(&self) -> ErrorCode {
        self.code
    }

    /// Converts an error of the backend in a request about `resource`.
    pub(crate) fn from_backend(error: &Error, resource: Resource) -> Self {
        let (mut status, code) = classify(error.kind(), resource);
        if error.is_retryable() && status == StatusCode::CONFLICT {
            // Clients retry after this status, and not after a conflict.
            status = StatusCode::SERVICE_UNAVAILABLE;
        }
        if !error.is_retryable() && status == StatusCode::SERVICE_UNAVAILABLE {
            // The registry that this one reads does not respond as a registry.
            status = match error.http_status() {
                Some(LOOP_DETECTED) => StatusCode::LOOP_DETECTED,
                _ => StatusCode::BAD_GATEWAY,
            };
        }
        let upstream = UpstreamError::of(error);
        let is_refused_there = error.http_status().is_some() && status == StatusCode::FORBIDDEN;
        if status.is_server_error() || upstream.is_some() || is_refused_there {
            tracing::error!(
                error = %error,
                source = std::error::Error::source(error).map(tracing::field::display),
                "a request failed"
            );
        }
        let message = if status.is_server_error() && upstream.is_none() {
            // The message of the backend may contain paths, so it is for the log only.
            format!("the registry failed: {}", error.kind())
        } else if error.is_not_found() {
            not_found_message(resource).to_owned()
        } else if is_refused_there {
            // The message has the address of the other registry.
            "the registry that this server reads refuses the access".to_owned()
        } else {
            error.to_string()
        };
        let failure = Self::new(status, code, message);
        let wait = match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Some(error.retry_after().unwrap_or(Duration::from_secs(1)))
            }
            // A mirrored registry that has not responded is left alone for a while.
            StatusCode::GATEWAY_TIMEOUT => error.retry_after(),
            _ => None,
        };
        match wait {
            Some(wait) => failure.with_header(RETRY_AFTER, HeaderValue::from(retry_after(wait))),
            None => failure,
        }
    }

    pub(crate) fn into_response(self) -> Response<ResponseBody> {
        #[derive(Serialize)]
        struct Entry<'a> {
            code: &'a str,
            message: &'a str,
        }
        #[derive(Serialize)]
        struct Errors<'a> {
            errors: [Entry<'a>; 1],
        }
        let errors = Errors {
            errors: [Entry {
                code: self.code.as_str(),
                message: &self.message,
            }],
        };
        // Strings always encode.
        let json = serde_json::to_vec(&errors).unwrap_or_default();
        let mut response = Response::new(ResponseBody::whole(json.into()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// Returns the refusal of a request that may be repeated after `wait`.
pub(crate) fn too_many_requests(message: impl Into<String>, wait: Duration) -> ResponseError {
    ResponseError::new(
        StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::TooManyRequests,
        message,
    )
    .with_header(RETRY_AFTER, HeaderValue::from(retry_after(wait)))
}

fn not_found_message(resource: Resource) -> &'static str {
    match resource {
        Resource::Blob => "the repository does not have this blob",
        Resource::Manifest => "the repository does not have this manifest or tag",
        Resource::NewManifest => "the repository lacks something that the manifest needs",
        Resource::Upload => "the upload does not exist, or has ended",
        Resource::Repository => "the repository does not exist",
    }
}

fn classify(kind: ErrorKind, resource: Resource) -> (StatusCode, ErrorCode) {
    let is_sent = matches!(resource, Resource::NewManifest | Resource::Upload);
    match kind {
        ErrorKind::NotFound => (
            StatusCode::NOT_FOUND,
            match resource {
                Resource::Blob => ErrorCode::BlobUnknown,
                Resource::Manifest => ErrorCode::ManifestUnknown,
                Resource::NewManifest => ErrorCode::ManifestBlobUnknown,
                Resource::Upload => ErrorCode::BlobUploadUnknown,
                Resource::Repository => ErrorCode::NameUnknown,
            },
        ),
        ErrorKind::DigestMismatch if is_sent => (StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid),
        ErrorKind::SizeMismatch if is_sent => (StatusCode::BAD_REQUEST, ErrorCode::SizeInvalid),
        ErrorKind::InvalidDigest => (StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid),
        ErrorKind::InvalidReference => (StatusCode::BAD_REQUEST, ErrorCode::NameInvalid),
        ErrorKind::InvalidManifest | ErrorKind::InvalidMediaType if is_sent => {
            (StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid)
        }
        ErrorKind::ManifestBlobUnknown => (StatusCode::BAD_REQUEST, ErrorCode::ManifestBlobUnknown),
        ErrorKind::SizeExceedsLimit if is_sent => {
            (StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid)
        }
        ErrorKind::RangeInvalid => (
            StatusCode::RANGE_NOT_SATISFIABLE,
            match resource {
                Resource::Upload => ErrorCode::BlobUploadInvalid,
                _ => ErrorCode::SizeInvalid,
            },
        ),
        ErrorKind::InvalidInput if is_sent => (StatusCode::BAD_REQUEST, ErrorCode::Unsupported),
        ErrorKind::Unsupported => (StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported),
        ErrorKind::Conflict if resource == Resource::Upload => {
            (StatusCode::CONFLICT, ErrorCode::BlobUploadInvalid)
        }
        ErrorKind::Conflict => (StatusCode::CONFLICT, ErrorCode::Denied),
        // Returned by the upstream registry of a proxy, for credentials that are not those of the client.
        ErrorKind::PermissionDenied | ErrorKind::Unauthorized | ErrorKind::Denied => {
            (StatusCode::FORBIDDEN, ErrorCode::Denied)
        }
        ErrorKind::RateLimited => (StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests),
        ErrorKind::StorageFull => (StatusCode::INSUFFICIENT_STORAGE, ErrorCode::Unknown),
        ErrorKind::Timeout => (StatusCode::GATEWAY_TIMEOUT, ErrorCode::Unknown),
        ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unknown),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Unknown),
    }
}
