//! Standard output, which has the results, and standard error, which has everything else.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::Write as _;

use serde::Serialize;
use tokio::io::{AsyncWriteExt as _, Stdout};

use crate::args::Format;
use crate::failure::{Failure, Outcome};
use crate::json;
use crate::progress::stop_waiting;

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

    /// Prints a line about what happened that is no result, unless the user wants quiet.
    pub(crate) fn note(self, text: impl fmt::Display) {
        if !self.quiet {
            stop_waiting();
            // A note that nobody can read is no reason to fail.
            let _ = writeln!(std::io::stderr(), "{}", plain(&text.to_string()));
        }
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
    stdout.write_all(bytes).await.map_err(Failure::output)?;
    stdout.flush().await.map_err(Failure::output)
}

/// Text from elsewhere on one line, without anything that a terminal would obey.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unprintable(character) {
            let _ = write!(shown, "{}", character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Control characters, and those that change the direction of the text around them.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_shown_and_not_obeyed() {
        assert_eq!(plain("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb\\nc");
        assert_eq!(plain("x\u{202e}y"), "x\\u{202e}y");
        assert!(matches!(plain("größer ✓"), Cow::Borrowed(_)));
    }
}
