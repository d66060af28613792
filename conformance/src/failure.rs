//! Failures of scenarios, with messages that the author of a backend understands without reading the scenario.

use std::error::Error as _;
use std::fmt;
use std::panic::Location;

use tranship::{Error, ErrorKind};

/// A wrong behaviour that a scenario has found, and the line of the check.
#[derive(Debug, Clone)]
pub struct Failure {
    message: String,
    unsupported: bool,
    at: &'static Location<'static>,
}

/// The result of the steps of a scenario.
pub(crate) type Verdict<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure at the caller's line.
    #[track_caller]
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            unsupported: false,
            at: Location::caller(),
        }
    }

    /// A failure because of an error of the backend, at the caller's line.
    #[track_caller]
    pub(crate) fn caused(message: &str, error: &Error) -> Self {
        Self {
            message: format!("{message}: {}", chain(error)),
            unsupported: error.kind() == ErrorKind::Unsupported,
            at: Location::caller(),
        }
    }

    /// The same failure, reported for another line.
    pub(crate) fn at(mut self, at: &'static Location<'static>) -> Self {
        self.at = at;
        self
    }

    /// Returns whether the backend failed with [`ErrorKind::Unsupported`] in a call that the scenario needs.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        self.unsupported
    }

    /// Returns the message, without the line of the check.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\n  found at {}:{}",
            self.message,
            self.at.file(),
            self.at.line()
        )
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    #[track_caller]
    fn from(error: Error) -> Self {
        Self::caused("the backend failed", &error)
    }
}

fn chain(error: &Error) -> String {
    let mut text = format!("{error} [{}]", error.kind());
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
