//! The look of a bar: how far it is, how fast, and for how long nothing has moved.

use std::fmt;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::style::ProgressTracker;
use indicatif::{
    BinaryBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle,
};

use crate::output::Output;
use crate::terminal::hide_control_characters;

pub(super) const REDRAW: Duration = Duration::from_millis(200);

pub(crate) fn target(output: Output) -> ProgressDrawTarget {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if output.quiet || output.no_progress || dumb || !std::io::stderr().is_terminal() {
        ProgressDrawTarget::hidden()
    } else {
        hide_control_characters();
        ProgressDrawTarget::stderr()
    }
}

/// How many columns the terminal has.
pub(super) type Columns = fn() -> u16;

pub(super) fn columns() -> u16 {
    console::Term::stderr().size().1
}

/// What a line tells beside the prefix, the bar and the amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    Rate,
    RateAndTime,
}

/// How many columns a terminal must have for each part of a line to be shown, so that no line wraps: one that does
/// cannot be redrawn in place.
pub(super) const FOR_TIME: u16 = 90;
pub(super) const FOR_RATE: u16 = 72;
pub(super) const FOR_TOTAL: u16 = 56;
pub(super) const FOR_BYTES: u16 = 32;

/// How long nothing may move before a line shows a wait.
pub(super) const WAIT: Duration = Duration::from_secs(1);

/// A prefix, the bar in what room there is, and how far it is.
pub(super) fn style(rest: Rest, columns: Columns) -> ProgressStyle {
    style_with_wait(rest, columns, WAIT)
}

pub(super) fn style_with_wait(rest: Rest, columns: Columns, shown_from: Duration) -> ProgressStyle {
    ProgressStyle::with_template("{prefix:>14} {wide_bar:.cyan}{amount}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
        .with_key(
            "amount",
            Amount {
                rest,
                columns,
                shown_from,
                moved: None,
            },
        )
}

/// Writes what follows the bar: the amount and the rate or, while nothing moves, for how long.
#[derive(Clone)]
pub(super) struct Amount {
    rest: Rest,
    columns: Columns,
    shown_from: Duration,
    moved: Option<Moved>,
}

/// The last state that differed from the one before it.
#[derive(Clone, Copy)]
pub(super) struct Moved {
    position: u64,
    length: Option<u64>,
    at: Instant,
    now: Instant,
}

impl Amount {
    /// How long nothing has moved, if that is long enough to be shown.
    fn wait(&self) -> Option<Duration> {
        let moved = self.moved?;
        let wait = moved.now.duration_since(moved.at);
        // One line is enough to show it.
        (self.rest == Rest::RateAndTime && wait >= self.shown_from).then_some(wait)
    }
}

impl ProgressTracker for Amount {
    fn clone_box(&self) -> Box<dyn ProgressTracker> {
        Box::new(self.clone())
    }

    fn tick(&mut self, state: &ProgressState, now: Instant) {
        let (position, length) = (state.pos(), state.len());
        let at = match self.moved {
            Some(moved) if (moved.position, moved.length) == (position, length) => moved.at,
            _ => now,
        };
        self.moved = Some(Moved {
            position,
            length,
            at,
            now,
        });
    }

    fn reset(&mut self, _: &ProgressState, _: Instant) {
        self.moved = None;
    }

    fn write(&self, state: &ProgressState, out: &mut dyn fmt::Write) {
        let (columns, wait) = ((self.columns)(), self.wait());
        if columns < FOR_BYTES {
            return;
        }
        // Where the room is short, a wait takes the place of the amount.
        if wait.is_none() || columns >= FOR_RATE {
            let bytes = BinaryBytes(state.pos()).to_string();
            let _ = write!(out, " {bytes:>11}");
            if columns >= FOR_TOTAL {
                let total = BinaryBytes(state.len().unwrap_or_default()).to_string();
                let _ = write!(out, " of {total:<11}");
            }
        }
        match wait {
            Some(wait) => {
                let _ = write!(out, " waiting for {:#}", HumanDuration(wait));
            }
            None if columns >= FOR_RATE => {
                write_rate(state, out);
                if self.rest == Rest::RateAndTime && columns >= FOR_TIME {
                    write_time(state, out);
                }
            }
            None => {}
        }
    }
}

/// A store that links or clones files reads nothing, and some read without telling: then there is no
/// rate to speak of, and no way to say how long it will take.
pub(super) fn has_rate(state: &ProgressState) -> bool {
    state.per_sec() >= 1024.0
}

pub(super) fn write_rate(state: &ProgressState, out: &mut dyn fmt::Write) {
    if has_rate(state) {
        let _ = write!(out, " {}/s", BinaryBytes(state.per_sec() as u64));
    }
}

pub(super) fn write_time(state: &ProgressState, out: &mut dyn fmt::Write) {
    if has_rate(state) {
        let _ = write!(out, ", {:#} left", HumanDuration(state.eta()));
    }
}

/// A bar that is first drawn in its place. Otherwise it would be drawn below the other bars, and leave a line there.
pub(super) fn undrawn(size: u64) -> ProgressBar {
    ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::hidden())
}

/// The end of a name, which tells more than its beginning.
pub(super) fn last_letters(name: &str) -> String {
    const MOST: usize = 14;
    let count = name.chars().count();
    if count <= MOST {
        return name.to_owned();
    }
    let end: String = name.chars().skip(count - MOST + 1).collect();
    format!("…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_is_no_wait() {
        let mut amount = Amount {
            rest: Rest::RateAndTime,
            columns: || 80,
            shown_from: WAIT,
            moved: None,
        };
        let begin = Instant::now();
        let moved = |position, at, now| Moved {
            position,
            length: Some(2),
            at: begin + Duration::from_secs(at),
            now: begin + Duration::from_secs(now),
        };
        amount.moved = Some(moved(1, 5, 5));
        assert_eq!(amount.wait(), None);
        amount.moved = Some(moved(1, 5, 8));
        assert_eq!(amount.wait(), Some(Duration::from_secs(3)));
    }
}
