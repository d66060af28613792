//! The errors of other registries, as clients and the log are told.

use std::error::Error as StdError;
use std::fmt;

use tranship::{Error, ErrorKind, RepositoryName};

/// The status of a server that has received its own request.
pub(crate) const LOOP_DETECTED: u16 = http::StatusCode::LOOP_DETECTED.as_u16();

/// Returns the error of the mirror of `host` for its repository `image`, which is named `name` here, that a client is told
/// in place of `error`. It names the registry and the repository, and has no address of the network. `error` becomes the
/// source, for the log.
///
/// Errors that are not those of the other registry are not changed.
pub(super) fn explain(host: &str, image: &str, name: &RepositoryName, error: Error) -> Error {
    if error.is_unsupported() && error.http_status().is_none() {
        return Error::unsupported(format!(
            "{name} is a mirror, and read-only; push {image} to the registry {host} itself, or to a repository \
             of this server whose name does not begin with {}/",
            name.as_str().split('/').next().unwrap_or_default()
        ));
    }
    let is_loop = error.http_status() == Some(LOOP_DETECTED);
    // The name of the other host may be one of a private network.
    let who = match error.other_host() {
        Some(_) => format!("a host that {host} refers to"),
        None => host.to_owned(),
    };
    let (kind, message) = match error.kind() {
        ErrorKind::Unauthorized | ErrorKind::Denied => {
            let message = format!(
                "{host} refuses to let this server read {image}: it needs a login, or one with more rights"
            );
            (ErrorKind::Denied, message)
        }
        ErrorKind::RateLimited => {
            let message = format!("{host} limits how often this server may read {image}");
            (ErrorKind::RateLimited, message)
        }
        ErrorKind::Timeout => {
            let message = format!("{who} does not respond in time for {image}");
            (ErrorKind::Timeout, message)
        }
        ErrorKind::Unavailable if error.is_retryable() => {
            let message = format!("{who} cannot be reached or fails, for {image}");
            (ErrorKind::Unavailable, message)
        }
        ErrorKind::DigestMismatch | ErrorKind::SizeMismatch => {
            let message = format!("{host} sends other bytes of {image} than their digest says");
            (ErrorKind::Unavailable, message)
        }
        ErrorKind::Unavailable if is_loop => {
            let message = format!("the mirror of {host} leads back to this server, for {image}");
            (ErrorKind::Unavailable, message)
        }
        ErrorKind::Unavailable
        | ErrorKind::InvalidManifest
        | ErrorKind::InvalidMediaType
        | ErrorKind::InvalidDigest
        | ErrorKind::InvalidReference
        | ErrorKind::InvalidInput
        | ErrorKind::SizeExceedsLimit
        | ErrorKind::Conflict
        | ErrorKind::StorageFull
        | ErrorKind::PermissionDenied => {
            let message = format!("{host} does not respond to requests for {image} as a registry");
            (ErrorKind::Unavailable, message)
        }
        _ => return error,
    };
    let is_retryable = error.is_retryable();
    let mut explained = Error::new(kind, message).with_retryable(is_retryable);
    if let Some(time) = error.retry_after() {
        explained = explained.with_retry_after(time);
    }
    if is_loop {
        // The server before this one must learn it too.
        explained = explained.with_http_status(LOOP_DETECTED);
    }
    explained.with_source(UpstreamError(error))
}

/// The error of another registry. An [`Error`] with this source has a message for clients.
#[derive(Debug)]
pub(crate) struct UpstreamError(Error);

impl UpstreamError {
    /// Returns the error of the other registry that `error` was made from, if it was.
    pub(crate) fn of(error: &Error) -> Option<&Self> {
        error.source()?.downcast_ref()
    }
}

impl fmt::Display for UpstreamError {
    /// Prints the error and its causes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl StdError for UpstreamError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}
