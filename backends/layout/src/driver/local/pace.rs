//! Whether a file system answers at once, so that asking it needs no other thread.
//!
//! To hand a call to a blocking thread and to be woken by it costs some ten times what a look at
//! cached metadata does. So short calls are made in place as long as they come back quickly, and on
//! blocking threads once one did not: a slow disk or a server that hangs holds up one task, once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What is quick enough.
const QUICK: Duration = Duration::from_micros(500);

/// How many calls go to blocking threads after a slow one.
const CAUTION: u32 = 256;

#[derive(Debug)]
pub(super) struct Pace {
    /// How many more calls go to blocking threads. The very first one does: nobody knows yet.
    caution: AtomicU32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            caution: AtomicU32::new(1),
        }
    }
}

impl Pace {
    /// Whether the next call may be made in place.
    pub(super) fn is_quick(&self) -> bool {
        self.caution.load(Ordering::Relaxed) == 0
    }

    /// Makes a call, wherever that is, and remembers how long it took.
    pub(super) fn time<T>(&self, call: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let outcome = call();
        if started.elapsed() > QUICK {
            self.caution.store(CAUTION, Ordering::Relaxed);
        } else {
            let less = |caution: u32| caution.checked_sub(1);
            let _ = self
                .caution
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_call_is_not_made_in_place() {
        let pace = Pace::default();
        assert!(!pace.is_quick());
        pace.time(|| ());
        assert!(pace.is_quick());
    }

    #[test]
    fn a_slow_call_sends_the_next_ones_away_for_a_while() {
        let pace = Pace::default();
        pace.time(|| std::thread::sleep(2 * QUICK));
        for _ in 0..CAUTION - 1 {
            pace.caution.fetch_sub(1, Ordering::Relaxed);
            assert!(!pace.is_quick());
        }
        pace.caution.fetch_sub(1, Ordering::Relaxed);
        assert!(pace.is_quick());
    }
}
