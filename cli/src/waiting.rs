//! A line that says that a command is running, while nothing else says so.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const REDRAW: Duration = Duration::from_millis(200);

/// There is one line per process, as there is one terminal. Code that writes to the terminal or shows bars removes it
/// first.
static WAITING: Mutex<Waiting> = Mutex::new(Waiting::NotYet);

enum Waiting {
    NotYet,
    Shown(ProgressBar),
    /// Something else is on the screen.
    Never,
}

/// Shows a line on `target` after a second, unless [`stop_waiting`] was called before. Never returns.
pub(crate) async fn show_waiting(target: ProgressDrawTarget) -> std::convert::Infallible {
    tokio::time::sleep(Duration::from_secs(1)).await;
    {
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*waiting, Waiting::NotYet) {
            let bar = ProgressBar::with_draw_target(None, target);
            let style = ProgressStyle::with_template("{spinner} waiting for {elapsed}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(REDRAW);
            *waiting = Waiting::Shown(bar);
        }
    }
    std::future::pending().await
}

/// Removes the line of [`show_waiting`] for good.
pub(crate) fn stop_waiting() {
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Waiting::Shown(bar) = std::mem::replace(&mut *waiting, Waiting::Never) {
        bar.finish_and_clear();
    }
}
