//! When something is due that is done at intervals.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The longest time between the start of the server and the first run, and before another attempt.
const DELAY: Duration = Duration::from_secs(60);

/// Something that is done at intervals, or not at all.
#[derive(Debug, Default)]
pub(super) struct Job {
    every: Option<Duration>,
    due: Option<Instant>,
}

/// How a run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Done,
    /// Another server is doing it, or it has failed.
    TryAgain,
}

impl Job {
    /// Sets the interval. With a new one the next run is due after it, and at most after a minute: a server that is
    /// started every day must get round to what it does every week.
    pub(super) fn schedule(&mut self, every: Option<Duration>, now: Instant) {
        if self.every != every {
            self.every = every;
            self.due = every.map(|every| now + every.min(DELAY));
        }
    }

    /// Waits until the next run is due.
    pub(super) async fn is_due(&self) {
        match self.due {
            Some(due) => sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn is_past(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Sets when the next run is due, after one that ends now.
    pub(super) fn end(&mut self, ended: Ended, now: Instant) {
        let pause = self.every.map(|every| match ended {
            Ended::Done => every,
            Ended::TryAgain => every.min(DELAY),
        });
        self.due = pause.and_then(|pause| now.checked_add(pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_job_is_due_soon_after_the_start_and_then_at_intervals() {
        let start = Instant::now();
        let mut job = Job::default();
        assert!(!job.is_past(start));
        job.schedule(Some(HOUR), start);
        assert!(!job.is_past(start));
        let first = start + DELAY;
        assert!(job.is_past(first));
        job.end(Ended::Done, first);
        job.schedule(Some(HOUR), first);
        assert_eq!(job.due, Some(first + HOUR));
        job.end(Ended::TryAgain, first);
        assert_eq!(job.due, Some(first + DELAY));
        job.schedule(None, first);
        assert_eq!(job.due, None);
    }
}
