//! A bar that counts.

use indicatif::{ProgressBar, ProgressStyle};

use super::bar::target;
use crate::output::Output;
use crate::waiting::stop_waiting;

/// A bar that counts to a known number. It vanishes when this is dropped.
pub(crate) struct CountProgress {
    bar: ProgressBar,
}

impl CountProgress {
    pub(crate) fn new(output: Output, what: &'static str, total: u64) -> Self {
        stop_waiting();
        let bar = ProgressBar::with_draw_target(Some(total), target(output));
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {human_pos} of {human_len}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(what);
        Self { bar }
    }

    pub(crate) fn set(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Removes the bar while `print` writes lines to the terminal.
    pub(crate) fn print_above(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }
}

impl Drop for CountProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
