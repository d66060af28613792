//! Whether a file system responds quickly enough to be called from an async task.
//!
//! To hand a call to a blocking thread and to be woken by it costs some ten times what a look at
//! cached metadata does, and half of what it takes to write a small file. So short calls are made in
//! place as long as they return quickly, and on blocking threads once they do not. A busy machine
//! delays one in a hundred calls, since other processes have the processor, and a thread would wait for it
//! too: many quick calls make up for a slow one. A slow disk delays more of them, and a server that
//! hangs delays all: it holds up a task two or three times, and is called in place again only after many
//! quick calls on blocking threads.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Calls that take no longer are quick.
const QUICK: Duration = Duration::from_micros(500);

/// Calls that take longer are slow even on a busy machine.
const HUNG: Duration = Duration::from_millis(100);

/// How many quick calls make up for a slow one, and how many slow ones can be made up for in advance.
const MAKE_UP: u32 = 32;
const MOST_FORGIVEN: u32 = 2;

/// How many calls go to blocking threads after a slow one. The number doubles with each slow call.
const LEAST_CAUTION: u32 = 8;
const MOST_CAUTION: u32 = 256;

/// What recent calls tell about the latency of a file system.
#[derive(Debug)]
pub(super) struct Latency {
    /// How many more calls go to blocking threads. The first one does, as nothing is known yet.
    caution: AtomicU32,
    /// How many do so after the next slow call that is not made up for.
    next_caution: AtomicU32,
    /// How many quick calls there were that make up for slow ones.
    credit: AtomicU32,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            caution: AtomicU32::new(1),
            next_caution: AtomicU32::new(LEAST_CAUTION),
            credit: AtomicU32::new(0),
        }
    }
}

impl Latency {
    /// Returns whether the next call may be made in place.
    pub(super) fn is_low(&self) -> bool {
        self.caution.load(Ordering::Relaxed) == 0
    }

    /// Makes a call on this thread, and notes how long it took.
    pub(super) fn time<T>(&self, call: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let outcome = call();
        self.note(started.elapsed());
        outcome
    }

    // Of two threads that note at the same time, one may be lost. That only shifts the counts.
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
    fn sent_away(latency: &Latency) -> u32 {
        let mut count = 0;
        while !latency.is_low() {
            latency.note(QUICK);
            count += 1;
        }
        count
    }

    #[test]
    fn the_first_call_is_not_made_in_place() {
        let latency = Latency::default();
        assert!(!latency.is_low());
        latency.time(|| ());
        assert!(latency.is_low());
    }

    #[test]
    fn a_slow_call_sends_the_next_ones_away_for_a_while() {
        let latency = Latency::default();
        latency.time(|| std::thread::sleep(2 * QUICK));
        assert_eq!(sent_away(&latency), LEAST_CAUTION);
    }

    #[test]
    fn where_all_calls_are_slow_few_are_made_in_place() {
        let latency = Latency::default();
        for _ in 0..10 {
            latency.note(2 * QUICK);
        }
        assert_eq!(sent_away(&latency), MOST_CAUTION);
        // That many quick calls would make up for it.
        latency.note(HUNG);
        latency.note(2 * QUICK);
        assert_eq!(sent_away(&latency), MOST_CAUTION);
    }

    #[test]
    fn slow_calls_that_are_rare_send_none_away() {
        let latency = Latency::default();
        (0..MAKE_UP).for_each(|_| latency.note(QUICK));
        for _ in 0..10 {
            latency.note(2 * QUICK);
            assert!(latency.is_low());
            (0..MAKE_UP).for_each(|_| latency.note(QUICK));
        }
    }

    #[test]
    fn credit_is_spent_by_a_few_slow_calls_or_one_that_hangs() {
        let latency = Latency::default();
        let earn = || (0..1000).for_each(|_| latency.note(QUICK));
        earn();
        for _ in 0..MOST_FORGIVEN {
            latency.note(2 * QUICK);
            assert!(latency.is_low());
        }
        latency.note(2 * QUICK);
        assert!(!latency.is_low());
        earn();
        latency.note(HUNG);
        assert!(!latency.is_low());
    }

    #[test]
    fn caution_that_was_not_needed_is_forgotten() {
        let latency = Latency::default();
        for _ in 0..10 {
            latency.note(HUNG);
            let away = sent_away(&latency);
            assert!(away <= 2 * LEAST_CAUTION, "{away}");
            (0..MOST_CAUTION).for_each(|_| latency.note(QUICK));
        }
    }
}
