//! The terminal while bars are on it.
//!
//! A bar fills its line, so the `^C` that a terminal echoes would go to the next line, and clearing the bars would miss
//! the first one. So the echo of control characters is off as long as bars may be shown.

#[cfg(unix)]
mod echo {
    use std::io::{Stderr, stderr};
    use std::sync::{Mutex, PoisonError};

    use rustix::process::getpgrp;
    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

    /// The modes to restore.
    static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

    /// The system stops a process in the background that changes the terminal.
    fn is_in_foreground(terminal: &Stderr) -> bool {
        tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp())
    }

    pub(crate) fn hide() {
        let terminal = stderr();
        let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
        if before.is_some() || !is_in_foreground(&terminal) {
            return;
        }
        let Ok(modes) = tcgetattr(&terminal) else {
            return;
        };
        let mut quiet = modes.clone();
        quiet.local_modes.remove(LocalModes::ECHOCTL);
        if tcsetattr(&terminal, OptionalActions::Now, &quiet).is_ok() {
            *before = Some(modes);
        }
    }

    pub(crate) fn restore() -> bool {
        let terminal = stderr();
        let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(modes) = before.take() else {
            return false;
        };
        if is_in_foreground(&terminal) {
            let _ = tcsetattr(&terminal, OptionalActions::Now, &modes);
        }
        true
    }
}

#[cfg(not(unix))]
mod echo {
    pub(crate) fn hide() {}

    pub(crate) fn restore() -> bool {
        false
    }
}

/// Stops the terminal from showing control characters that the user types.
pub(crate) fn hide_control_characters() {
    echo::hide();
}

/// Undoes [`hide_control_characters`], and returns whether there was something to undo.
pub(crate) fn restore() -> bool {
    echo::restore()
}
