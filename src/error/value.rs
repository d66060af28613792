//! The error type.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::time::Duration;

use super::http_request::HttpRequest;
use super::kind::ErrorKind;
use super::registry_error::RegistryError;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// The side of a copy that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CopySide {
    /// Reading from the source.
    Source,
    /// Looking, pushing or tagging at the destination, which also verifies the content.
    Destination,
}

/// Why an operation failed.
///
/// [`Display`](fmt::Display) prints this level only, as one line; the cause is reached through
/// [`source`](std::error::Error::source). An error never carries a secret.
///
/// ```
/// use tranship::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::NotFound, "no such tag")
///     .with_operation("resolve")
///     .with_subject("registry.example/app:v1");
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!(error.to_string(), "resolve registry.example/app:v1: no such tag");
/// ```
#[derive(thiserror::Error)]
#[error("{inner}")]
pub struct Error {
    #[source]
    source: Option<Source>,
    // One pointer, so that `Result` stays small on the paths that succeed.
    inner: Box<Inner>,
}

#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    operation: Option<&'static str>,
    subject: Option<String>,
    hint: Option<Cow<'static, str>>,
    retryable: bool,
    retry_after: Option<Duration>,
    registry_errors: Vec<RegistryError>,
    http_status: Option<u16>,
    copy_side: Option<CopySide>,
    http_request: Option<HttpRequest>,
    other_host: Option<String>,
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.operation, &self.subject) {
            (Some(operation), Some(subject)) => write!(f, "{operation} {subject}: ")?,
            (Some(operation), None) => write!(f, "{operation}: ")?,
            (None, Some(subject)) => write!(f, "{subject}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.message)?;
        match &self.other_host {
            Some(host) => write!(f, " (at {host}, to which the registry refers)"),
            None => Ok(()),
        }
    }
}

impl Error {
    /// An error of `kind` that says `message`: one line, without the operation or the reference,
    /// which have places of their own.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            source: None,
            inner: Box::new(Inner {
                kind,
                message: message.into(),
                operation: None,
                subject: None,
                hint: None,
                retryable: matches!(
                    kind,
                    ErrorKind::RateLimited | ErrorKind::Timeout | ErrorKind::Unavailable
                ),
                retry_after: None,
                registry_errors: Vec::new(),
                http_status: None,
                copy_side: None,
                http_request: None,
                other_host: None,
            }),
        }
    }

    /// [`ErrorKind::NotFound`] for `subject`, a digest, tag or repository.
    pub fn not_found(subject: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, "not found").with_subject(subject)
    }

    /// [`ErrorKind::Unsupported`]: what is not supported, and why.
    pub fn unsupported(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// The kind that fits an [`io::Error`], which becomes the source; `message` says what was tried.
    pub fn io(message: impl Into<Cow<'static, str>>, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                ErrorKind::PermissionDenied
            }
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => ErrorKind::StorageFull,
            io::ErrorKind::TimedOut => ErrorKind::Timeout,
            io::ErrorKind::InvalidFilename => ErrorKind::InvalidInput,
            _ => ErrorKind::Io,
        };
        Self::new(kind, message).with_source(source)
    }

    /// Returns the error without its source, for a second caller that has to fail for the same reason.
    pub(crate) fn without_source(&self) -> Self {
        Self {
            source: None,
            inner: self.inner.clone(),
        }
    }

    /// Adds what was being done, as a verb: `fetch`, `push`, `resolve`. An operation that is
    /// already there, nearer to the cause, stays.
    #[must_use]
    pub fn with_operation(mut self, operation: &'static str) -> Self {
        self.inner.operation.get_or_insert(operation);
        self
    }

    /// Adds the reference or digest at hand. One that is already there stays.
    #[must_use]
    pub fn with_subject(mut self, subject: impl fmt::Display) -> Self {
        self.inner
            .subject
            .get_or_insert_with(|| subject.to_string());
        self
    }

    /// Replaces the reference or digest at hand, if there is one, by what `rename` returns for it.
    #[must_use]
    pub fn map_subject(mut self, rename: impl FnOnce(String) -> String) -> Self {
        self.inner.subject = self.inner.subject.map(rename);
        self
    }

    /// Adds what the user can do about it, as one sentence without a full stop.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.inner.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says whether the same call may succeed later.
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.inner.retryable = retryable;
        self
    }

    /// Adds how long the registry asks to wait before the same call is made again.
    #[must_use]
    pub fn with_retry_after(mut self, time: Duration) -> Self {
        self.inner.retry_after = Some(time);
        self
    }

    /// Adds the error list of a registry's answer.
    #[must_use]
    pub fn with_registry_errors(mut self, errors: Vec<RegistryError>) -> Self {
        self.inner.registry_errors = errors;
        self
    }

    /// Adds the status code of the HTTP response that the error was made from.
    #[must_use]
    pub fn with_http_status(mut self, status: u16) -> Self {
        self.inner.http_status = Some(status);
        self
    }

    /// Adds the method and the URL of the HTTP request that was refused. User information, such as a password, and
    /// a fragment are removed from the URL. Leave out parameters of its query that may be secret.
    #[must_use]
    pub fn with_http_request(mut self, method: impl Into<String>, url: &str) -> Self {
        self.inner.http_request = Some(HttpRequest::new(method.into(), url));
        self
    }

    /// Takes over what `other` says about an HTTP exchange: the [status](Self::http_status), the
    /// [method](Self::http_method), the [URL](Self::url) and the [registry's errors](Self::registry_errors). For an
    /// error that explains another one.
    #[must_use]
    pub fn with_http_exchange_of(mut self, other: &Self) -> Self {
        self.inner.http_status = other.inner.http_status;
        self.inner
            .http_request
            .clone_from(&other.inner.http_request);
        self.inner
            .registry_errors
            .clone_from(&other.inner.registry_errors);
        self
    }

    /// Adds the host that failed, with its port if it has one, which is not the registry itself but one that the registry
    /// refers to.
    #[must_use]
    pub fn with_other_host(mut self, host: impl Into<String>) -> Self {
        self.inner.other_host = Some(host.into());
        self
    }

    /// Says which side of a copy failed. A side that is already there, nearer to the cause, stays.
    #[must_use]
    pub fn with_copy_side(mut self, side: CopySide) -> Self {
        self.inner.copy_side.get_or_insert(side);
        self
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// What was being done, if it is known.
    #[must_use]
    pub fn operation(&self) -> Option<&'static str> {
        self.inner.operation
    }

    /// The reference or digest at hand, if there is one.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.inner.subject.as_deref()
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }

    /// Whether the same call may succeed when it is made again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.inner.retryable
    }

    /// Returns how long the registry asks to wait before the same call is made again, if it says so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// The registry's own error list, empty where it sent none.
    #[must_use]
    pub fn registry_errors(&self) -> &[RegistryError] {
        &self.inner.registry_errors
    }

    /// Returns the status code of the HTTP response with which a registry refused the request; `None`
    /// if the error was not made from such a response. It tells what a registry refused, such as an
    /// [`InvalidInput`](ErrorKind::InvalidInput) with status 400, from what was refused here.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.inner.http_status
    }

    /// Returns the method of the HTTP request that was refused, such as `PUT`. It is known wherever the
    /// [status](Self::http_status) is.
    #[must_use]
    pub fn http_method(&self) -> Option<&str> {
        let request = self.inner.http_request.as_ref();
        request.map(|request| request.method.as_str())
    }

    /// Returns the URL of the HTTP request that was refused, after redirects. It is known wherever the
    /// [status](Self::http_status) is.
    ///
    /// It is meant for messages and logs, and not to send a request to: it does not have user information, and of
    /// its query only the values of parameters that are known to be harmless, such as `n` and `digest`.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        let request = self.inner.http_request.as_ref();
        request.map(|request| request.url.as_str())
    }

    /// Returns the host that could not be reached, or broke off, if that is not the registry itself but one that the
    /// registry refers to: the target of a redirect, or the token server. Such a failure does not say anything about requests
    /// that do not need this host.
    #[must_use]
    pub fn other_host(&self) -> Option<&str> {
        self.inner.other_host.as_deref()
    }

    /// Returns which side failed, if this is the error of a copy. Errors of hooks, and those of the copy itself, such
    /// as a manifest that cannot be decoded, do not have a side.
    #[must_use]
    pub fn copy_side(&self) -> Option<CopySide> {
        self.inner.copy_side
    }

    /// Whether the kind is [`ErrorKind::NotFound`].
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// Whether the kind is [`ErrorKind::Unsupported`].
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        self.kind() == ErrorKind::Unsupported
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.inner.kind);
        debug.field("message", &self.to_string());
        if let Some(hint) = &self.inner.hint {
            debug.field("hint", hint);
        }
        if !self.inner.registry_errors.is_empty() {
            debug.field("registry_errors", &self.inner.registry_errors);
        }
        if let Some(status) = self.inner.http_status {
            debug.field("http_status", &status);
        }
        if let Some(request) = &self.inner.http_request {
            debug.field("http_method", &request.method);
            debug.field("url", &request.url);
        }
        if let Some(source) = &self.source {
            debug.field("source", source);
        }
        debug.finish_non_exhaustive()
    }
}

/// Adds an operation and a subject to the errors that pass by.
pub trait ResultExt<T> {
    /// Says what was being done, and on which reference or digest; what the error already knows
    /// stays.
    ///
    /// # Errors
    /// The same error, with more context.
    fn during(self, operation: &'static str, subject: impl fmt::Display) -> Result<T>;
}

impl<T> ResultExt<T> for Result<T> {
    fn during(self, operation: &'static str, subject: impl fmt::Display) -> Self {
        self.map_err(|error| error.with_operation(operation).with_subject(subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn the_context_nearest_to_the_cause_stays() {
        let error = Error::not_found("sha256:aa")
            .with_operation("fetch")
            .with_operation("copy")
            .with_subject("sha256:bb");
        assert_eq!(error.to_string(), "fetch sha256:aa: not found");
    }

    #[test]
    fn display_prints_its_own_level_only() {
        let io = io::Error::new(io::ErrorKind::StorageFull, "no space left");
        let error = Error::io("write blob", io);
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(error.to_string(), "write blob");
        assert_eq!(
            error.source().expect("a source").to_string(),
            "no space left"
        );
    }

    #[test]
    fn debug_shows_the_request_and_no_detail() {
        let entry = RegistryError::new("DENIED", "no").with_detail(Some("hunter2".into()));
        let error = Error::new(ErrorKind::Denied, "refused")
            .with_http_status(403)
            .with_http_request("PUT", "https://u:hunter2@a.example/v2/")
            .with_registry_errors(vec![entry]);
        let text = format!("{error:?}");
        for part in ["403", "PUT", "https://a.example/v2/", "DENIED"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn an_explanation_takes_over_the_exchange() {
        let refused = Error::new(ErrorKind::Denied, "refused")
            .with_http_status(403)
            .with_http_request("PUT", "https://a.example/v2/")
            .with_registry_errors(vec![RegistryError::new("DENIED", "no")]);
        let error = Error::new(ErrorKind::NotFound, "gone").with_http_exchange_of(&refused);
        assert_eq!(error.http_status(), Some(403));
        assert_eq!(error.http_method(), Some("PUT"));
        assert_eq!(error.url(), Some("https://a.example/v2/"));
        assert_eq!(error.registry_errors(), refused.registry_errors());
    }

    #[test]
    fn transient_kinds_are_retryable_unless_said_otherwise() {
        assert!(Error::new(ErrorKind::Timeout, "slow").is_retryable());
        assert!(!Error::new(ErrorKind::NotFound, "gone").is_retryable());
        assert!(
            !Error::new(ErrorKind::Timeout, "slow")
                .with_retryable(false)
                .is_retryable()
        );
    }
}
