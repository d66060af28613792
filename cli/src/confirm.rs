//! Asking before something is lost.

use std::io::{IsTerminal as _, Write as _};

use tranship::{Error, ErrorKind, escape_controls as plain};

use crate::command_error::Outcome;
use crate::waiting::stop_waiting;

/// Asks on the terminal, unless `yes` was said beforehand.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] where there is no terminal to ask on, and [`ErrorKind::Aborted`] if
/// the answer is anything but yes.
pub(crate) async fn confirm(question: &str, yes: bool) -> Outcome {
    if yes {
        return Ok(());
    }
    if !can_ask() {
        return Err(cannot_ask().into());
    }
    stop_waiting();
    let _ = write!(std::io::stderr(), "{} [y/N] ", plain(question));
    match read_line().await?.trim() {
        "y" | "Y" | "yes" | "Yes" | "YES" => Ok(()),
        _ => Err(Error::new(ErrorKind::Aborted, "nothing was deleted").into()),
    }
}

/// Returns whether there is a terminal to ask on.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Returns the error for a question that cannot be asked.
pub(crate) fn cannot_ask() -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        "this needs a confirmation, and there is no terminal to ask on",
    )
    .with_hint("give --yes to delete without a question")
}

/// Reads on a thread of its own: a read from a terminal cannot be cancelled, and the runtime would
/// wait for one of its threads when Ctrl-C ends the program.
async fn read_line() -> Result<String, Error> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        let _ = sender.send(read.map(|_| line));
    });
    receiver
        .await
        .map_err(|error| Error::new(ErrorKind::Io, "no answer was read").with_source(error))?
        .map_err(|error| Error::io("no answer was read", error))
}
