//! What goes wrong, as the status and the error list that the distribution spec wants.

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde::Serialize;
use tranship::{Error, ErrorKind};

use crate::response_body::ResponseBody;

/// The codes of the distribution spec, and Docker's for what is the server's own failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
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

impl Code {
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

/// What a request was about, which decides what a backend's error means to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// A blob that is there.
    Blob,
    /// A manifest that is there, or a tag.
    Manifest,
    /// A manifest that the client sends.
    NewManifest,
    /// An upload of a blob, and the bytes that the client sends.
    Upload,
    /// A repository, or all of them.
    Repository,
}

/// An answer that tells of a failure.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    code: Code,
    message: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            headers: Vec::new(),
        }
    }

    pub(crate) fn bad_request(code: Code, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    #[cfg(test)]
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// What a backend's `error` is to a client that asked `about` something.
    pub(crate) fn of(error: &Error, about: About) -> Self {
        let (mut status, code) = classify(error.kind(), about);
        if error.is_retryable() && status == StatusCode::CONFLICT {
            // Clients try this again, and not a conflict.
            status = StatusCode::SERVICE_UNAVAILABLE;
        }
        let message = if status.is_server_error() {
            // What the backend says of itself, such as paths, is for the log and not for clients.
            tracing::error!(
                error = %error,
                source = std::error::Error::source(error).map(tracing::field::display),
                "a request failed"
            );
            format!("the registry failed: {}", error.kind())
        } else if error.is_not_found() {
            unknown(about).to_owned()
        } else {
            error.to_string()
        };
        let failure = Self::new(status, code, message);
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                failure.with_header(RETRY_AFTER, HeaderValue::from_static("1"))
            }
            _ => failure,
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

fn unknown(about: About) -> &'static str {
    match about {
        About::Blob => "the repository has no such blob",
        About::Manifest => "the repository has no such manifest or tag",
        About::NewManifest => "the repository lacks something that the manifest needs",
        About::Upload => "there is no such upload, or it has ended",
        About::Repository => "there is no such repository",
    }
}

fn classify(kind: ErrorKind, about: About) -> (StatusCode, Code) {
    let is_sent = matches!(about, About::NewManifest | About::Upload);
    match kind {
        ErrorKind::NotFound => (
            StatusCode::NOT_FOUND,
            match about {
                About::Blob => Code::BlobUnknown,
                About::Manifest => Code::ManifestUnknown,
                About::NewManifest => Code::ManifestBlobUnknown,
                About::Upload => Code::BlobUploadUnknown,
                About::Repository => Code::NameUnknown,
            },
        ),
        ErrorKind::DigestMismatch if is_sent => (StatusCode::BAD_REQUEST, Code::DigestInvalid),
        ErrorKind::SizeMismatch if is_sent => (StatusCode::BAD_REQUEST, Code::SizeInvalid),
        ErrorKind::InvalidDigest => (StatusCode::BAD_REQUEST, Code::DigestInvalid),
        ErrorKind::InvalidReference => (StatusCode::BAD_REQUEST, Code::NameInvalid),
        ErrorKind::InvalidManifest | ErrorKind::InvalidMediaType if is_sent => {
            (StatusCode::BAD_REQUEST, Code::ManifestInvalid)
        }
        ErrorKind::ManifestBlobUnknown => (StatusCode::BAD_REQUEST, Code::ManifestBlobUnknown),
        ErrorKind::SizeExceedsLimit if is_sent => {
            (StatusCode::PAYLOAD_TOO_LARGE, Code::SizeInvalid)
        }
        ErrorKind::RangeInvalid => (
            StatusCode::RANGE_NOT_SATISFIABLE,
            match about {
                About::Upload => Code::BlobUploadInvalid,
                _ => Code::SizeInvalid,
            },
        ),
        ErrorKind::InvalidInput if is_sent => (StatusCode::BAD_REQUEST, Code::Unsupported),
        ErrorKind::Unsupported => (StatusCode::METHOD_NOT_ALLOWED, Code::Unsupported),
        ErrorKind::Conflict if about == About::Upload => {
            (StatusCode::CONFLICT, Code::BlobUploadInvalid)
        }
        ErrorKind::Conflict => (StatusCode::CONFLICT, Code::Denied),
        // Those of a registry behind this one: whose credentials they were, the client need not know.
        ErrorKind::PermissionDenied | ErrorKind::Unauthorized | ErrorKind::Denied => {
            (StatusCode::FORBIDDEN, Code::Denied)
        }
        ErrorKind::RateLimited => (StatusCode::TOO_MANY_REQUESTS, Code::TooManyRequests),
        ErrorKind::StorageFull => (StatusCode::INSUFFICIENT_STORAGE, Code::Unknown),
        ErrorKind::Timeout => (StatusCode::GATEWAY_TIMEOUT, Code::Unknown),
        ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, Code::Unknown),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, Code::Unknown),
    }
}
