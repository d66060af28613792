//! Standard output, which has the results, and standard error, which has everything else.

use std::fmt;
use std::io::Write as _;

use clap::ValueEnum;
use serde::Serialize;
use tokio::io::{AsyncWriteExt as _, Stdout};

use crate::command_error::{CommandError, Outcome};
use crate::json;
use crate::waiting::stop_waiting;
use tranship::escape_controls as plain;

/// The form of the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people, one result a line
    Text,
    /// One JSON document on standard output, and errors as one JSON object on standard error
    Json,
}

/// Where and how a command says things.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) quiet: bool,
    pub(crate) no_progress: bool,
    /// Whether each request is told.
    pub(crate) traces: bool,
}

impl Output {
    /// Prints the result of a command: as text by its `Display`, which may be several lines or none
    /// at all, or as one JSON document.
    pub(crate) async fn print<T: Serialize + fmt::Display>(self, result: &T) -> Outcome {
        if self.is_json() {
            return self.print_json(result).await;
        }
        let mut text = result.to_string();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        write(text.as_bytes()).await
    }

    /// Prints a result that is listed otherwise where the format is text.
    pub(crate) async fn print_json<T: Serialize>(self, result: &T) -> Outcome {
        write(json::encode(result)?.as_bytes()).await
    }

    /// Prints one of several results on one line.
    pub(crate) async fn print_json_line<T: Serialize>(self, result: &T) -> Outcome {
        write(json::encode_line(result)?.as_bytes()).await
    }

    /// Prints a line about what happened that is no result, unless the user wants quiet.
    pub(crate) fn note(self, text: impl fmt::Display) {
        if !self.quiet {
            stop_waiting();
            // A note that nobody can read is no reason to fail.
            let _ = writeln!(std::io::stderr(), "{}", plain(&text.to_string()));
        }
    }

    /// Prints a line about something that failed, also if the user wants quiet.
    pub(crate) fn failure(self, text: impl fmt::Display) {
        stop_waiting();
        let _ = writeln!(std::io::stderr(), "{}", plain(&text.to_string()));
    }

    pub(crate) const fn is_json(self) -> bool {
        matches!(self.format, Format::Json)
    }
}

/// Writes to standard output, as it is. Through tokio, so that a reader that stalls does not keep
/// Ctrl-C from working.
pub(crate) async fn write(bytes: &[u8]) -> Outcome {
    let mut stdout = tokio::io::stdout();
    write_to(&mut stdout, bytes).await
}

pub(crate) async fn write_to(stdout: &mut Stdout, bytes: &[u8]) -> Outcome {
    stop_waiting();
    stdout
        .write_all(bytes)
        .await
        .map_err(CommandError::output)?;
    stdout.flush().await.map_err(CommandError::output)
}
