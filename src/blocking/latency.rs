//! Whether a file system answers at once, so that asking it needs no other thread.
//!
//! To hand a call to a blocking thread and to be woken by it costs some ten times what a look at
//! cached metadata does, and half of what it takes to write a small file. So short calls are made in
//! place as long as they come back quickly, and on blocking threads once they do not. A busy machine
//! delays one in a hundred calls, since others have the processor, and threads would only wait for it as
//! well: so many quick calls make up for a slow one. A slow disk delays more of them, and a server that
//! hangs all: it holds up a task two or three times, and is trusted again only when many calls on blocking
//! threads were quick.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tranship::Result;

use crate::blocking::blocking;

/// What is quick enough.
const QUICK: Duration = Duration::from_micros(500);

/// What no busy machine is to blame for.
const HUNG: Duration = Duration::from_millis(100);

/// How many quick calls make up for a slow one, and for how many they do at the most.
const MAKE_UP: u32 = 32;
const MOST_FORGIVEN: u32 = 2;

/// How many calls go to blocking threads after a slow one. With each that is slow as well they
/// double.
const LEAST_CAUTION: u32 = 8;
const MOST_CAUTION: u32 = 256;

#[derive(Debug)]
pub(super) struct Pace {
    /// How many more calls go to blocking threads. The very first one does: nobody knows yet.
    caution: AtomicU32,
    /// How many do so after the next slow call that is not forgiven.
    next_caution: AtomicU32,
    /// How many calls were quick, of those that make up for slow ones.
    credit: AtomicU32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            caution: AtomicU32::new(1),
            next_caution: AtomicU32::new(LEAST_CAUTION),
            credit: AtomicU32::new(0),
        }
    }
}

impl Pace {
    /// Makes a call in place if that is quick, and on a blocking thread otherwise.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        call: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.is_quick() {
            return self.time(call);
        }
        let pace = Arc::clone(self);
        blocking(move || pace.time(call)).await
    }

    /// Whether the next call may be made in place.
    pub(super) fn is_quick(&self) -> bool {
        self.caution.load(Ordering::Relaxed) == 0
    }

    /// Makes a call, wherever that is, and remembers how long it took.
    pub(super) fn time<T>(&self, call: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let outcome = call();
        self.note(started.elapsed());
        outcome
    }

    // What two threads note at the same time may be noted for one. That only shifts the counts.
    fn note(&self, took: Duration) {
        let caution = self.caution.load(Ordering::Relaxed);
        let next = self.next_caution.load(Ordering::Relaxed);
        let credit = self.credit.load(Ordering::Relaxed);
        if took > QUICK {
            if credit >= MAKE_UP && took < HUNG {
                self.credit.store(credit - MAKE_UP, Ordering::Relaxed);
                return;
            }
            self.credit.store(0, Ordering::Relaxed);
            self.caution.store(next, Ordering::Relaxed);
            let doubled = (next * 2).min(MOST_CAUTION);
            self.next_caution.store(doubled, Ordering::Relaxed);
            return;
        }
        if credit < MAKE_UP * MOST_FORGIVEN {
            self.credit.store(credit + 1, Ordering::Relaxed);
        }
        if caution > 0 {
            self.caution.store(caution - 1, Ordering::Relaxed);
        } else if next > LEAST_CAUTION {
            self.next_caution.store(next - 1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many calls go to blocking threads from now on, if all are quick.
    fn sent_away(pace: &Pace) -> u32 {
        let mut count = 0;
        while !pace.is_quick() {
            pace.note(QUICK);
            count += 1;
        }
        count
    }

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
        assert_eq!(sent_away(&pace), LEAST_CAUTION);
    }

    #[test]
    fn where_all_calls_are_slow_few_are_made_in_place() {
        let pace = Pace::default();
        for _ in 0..10 {
            pace.note(2 * QUICK);
        }
        assert_eq!(sent_away(&pace), MOST_CAUTION);
        // That many quick calls would make up for it.
        pace.note(HUNG);
        pace.note(2 * QUICK);
        assert_eq!(sent_away(&pace), MOST_CAUTION);
    }

    #[test]
    fn slow_calls_that_are_rare_send_none_away() {
        let pace = Pace::default();
        (0..MAKE_UP).for_each(|_| pace.note(QUICK));
        for _ in 0..10 {
            pace.note(2 * QUICK);
            assert!(pace.is_quick());
            (0..MAKE_UP).for_each(|_| pace.note(QUICK));
        }
    }

    #[test]
    fn what_was_earned_is_spent_by_a_few_slow_calls_or_one_that_hangs() {
        let pace = Pace::default();
        let earn = || (0..1000).for_each(|_| pace.note(QUICK));
        earn();
        for _ in 0..MOST_FORGIVEN {
            pace.note(2 * QUICK);
            assert!(pace.is_quick());
        }
        pace.note(2 * QUICK);
        assert!(!pace.is_quick());
        earn();
        pace.note(HUNG);
        assert!(!pace.is_quick());
    }

    #[test]
    fn caution_that_was_not_needed_is_forgotten() {
        let pace = Pace::default();
        for _ in 0..10 {
            pace.note(HUNG);
            let away = sent_away(&pace);
            assert!(away <= 2 * LEAST_CAUTION, "{away}");
            (0..MOST_CAUTION).for_each(|_| pace.note(QUICK));
        }
    }
}
