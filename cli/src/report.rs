//! Errors for people, one line and a hint, and for programs, one JSON object.

use std::error::Error as _;
use std::io::Write as _;

use serde::Serialize;
use tranship::{Error, escape_controls as plain};

use crate::exit::Status;
use crate::output::Format;

/// What the user reads when a command failed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    kind: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    causes: Vec<String>,
    registry_errors: Vec<RegistryEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
    retryable: bool,
    exit_code: u8,
}

#[derive(Debug, Serialize)]
struct RegistryEntry {
    code: String,
    message: String,
}

impl Report {
    pub(crate) fn new(error: &Error) -> Self {
        let causes = std::iter::successors(error.source(), |&cause| cause.source())
            .map(ToString::to_string)
            .collect();
        let registry_errors = error
            .registry_errors()
            .iter()
            .map(|entry| RegistryEntry {
                code: entry.code.clone(),
                message: entry.message.clone(),
            })
            .collect();
        Self {
            kind: error.kind().to_string(),
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
            causes,
            registry_errors,
            http_status: error.http_status(),
            retryable: error.is_retryable(),
            exit_code: Status::from(error).code(),
        }
    }

    /// Says where it happened, if the message does not.
    pub(crate) fn at(mut self, place: Option<&str>) -> Self {
        if let Some(place) = place.filter(|place| !self.message.contains(place)) {
            self.message = format!("{place}: {}", self.message);
        }
        self
    }

    /// A mistake on the command line that clap found.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            kind: "usage".to_owned(),
            message: message.into(),
            hint: None,
            causes: Vec::new(),
            registry_errors: Vec::new(),
            http_status: None,
            retryable: false,
            exit_code: Status::Usage.code(),
        }
    }

    /// A part of many that failed.
    pub(crate) fn incomplete(message: String, status: Status) -> Self {
        Self {
            kind: "incomplete".to_owned(),
            exit_code: status.code(),
            ..Self::usage(message)
        }
    }

    /// Returns the text on one line, without the hint, which needs another.
    pub(crate) fn line(&self) -> String {
        let text = self.to_text(false);
        text.lines().next().unwrap_or_default().to_owned()
    }

    /// Writes the report to standard error. If that fails too, there is nobody left to tell.
    pub(crate) fn print(&self, format: Format, verbose: bool) {
        let text = match format {
            Format::Json => self.to_json(),
            Format::Text => self.to_text(verbose),
        };
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Document<'a> {
            error: &'a Report,
        }
        let mut text = serde_json::to_string(&Document { error: self }).unwrap_or_default();
        text.push('\n');
        text
    }

    /// One line for the error and one for the hint. Of the causes the first one says why, and the
    /// others are for `--verbose`.
    fn to_text(&self, verbose: bool) -> String {
        let mut text = format!("error: {}", plain(&self.message));
        if !verbose && let Some(cause) = self.causes.last() {
            text.push_str(": ");
            text.push_str(&plain(cause));
        }
        text.push('\n');
        if verbose {
            for cause in &self.causes {
                text.push_str(&format!("  caused by: {}\n", plain(cause)));
            }
            for entry in &self.registry_errors {
                let (code, message) = (plain(&entry.code), plain(&entry.message));
                text.push_str(&format!("  the registry says: {code}: {message}\n"));
            }
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("hint: {}\n", plain(hint)));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tranship::{ErrorKind, RegistryError};

    fn failed_twice() -> Error {
        let why = std::io::Error::other("the disk\nis on fire");
        let below = Error::new(ErrorKind::Io, "cannot be read").with_source(why);
        Error::new(ErrorKind::Corrupt, "the index is torn")
            .with_subject("oci:dir")
            .with_source(below)
            .with_registry_errors(vec![RegistryError::new("TEAPOT", "short and stout")])
            .with_hint("buy another disk")
    }

    #[test]
    fn the_short_form_is_one_line_and_a_hint() {
        let text = Report::new(&failed_twice()).to_text(false);
        assert_eq!(
            text,
            "error: oci:dir: the index is torn: the disk\\nis on fire\nhint: buy another disk\n"
        );
    }

    #[test]
    fn the_long_form_has_the_whole_chain() {
        let text = Report::new(&failed_twice()).to_text(true);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "error: oci:dir: the index is torn",
                "  caused by: cannot be read",
                "  caused by: the disk\\nis on fire",
                "  the registry says: TEAPOT: short and stout",
                "hint: buy another disk",
            ]
        );
    }

    #[test]
    fn as_json_it_is_one_line() {
        let text = Report::new(&failed_twice()).to_json();
        assert_eq!(text.lines().count(), 1);
        let json: serde_json::Value = serde_json::from_str(&text).expect("json");
        assert_eq!(json["error"]["kind"], "corrupt");
        assert_eq!(json["error"]["exitCode"], 4);
        assert_eq!(json["error"]["causes"][1], "the disk\nis on fire");
    }
}
