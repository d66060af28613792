//! How many requests go to a registry at a time, and how many in a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Which bound a request falls under. Downloads have one of their own, because a copy inside one
/// registry holds a download while its upload waits: with a single bound such copies could wait for
/// each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestClass {
    Download,
    Other,
}

#[derive(Debug)]
pub(crate) struct Limiter {
    downloads: Arc<Semaphore>,
    others: Arc<Semaphore>,
    pace: Option<Pace>,
}

#[derive(Debug)]
struct Pace {
    interval: Duration,
    next: Mutex<Instant>,
}

/// The right to have a request under way. It ends when this is dropped, and so lives as long as the
/// answer's body.
#[derive(Debug)]
pub(crate) struct Permit(
    #[allow(dead_code, reason = "held, never read")] Option<OwnedSemaphorePermit>,
);

impl Permit {
    /// For requests that are not bounded.
    pub(crate) const fn none() -> Self {
        Self(None)
    }
}

impl Limiter {
    pub(crate) fn new(concurrent: usize, per_second: Option<u32>) -> Self {
        let concurrent = concurrent.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            downloads: Arc::new(Semaphore::new(concurrent)),
            others: Arc::new(Semaphore::new(concurrent)),
            pace: per_second.map(|rate| Pace {
                interval: Duration::from_secs(1) / rate.max(1),
                next: Mutex::new(Instant::now()),
            }),
        }
    }

    pub(crate) async fn admit(&self, class: RequestClass) -> Permit {
        let class = match class {
            RequestClass::Download => &self.downloads,
            RequestClass::Other => &self.others,
        };
        // It is never closed.
        let permit = Arc::clone(class).acquire_owned().await.ok();
        self.keep_pace().await;
        Permit(permit)
    }

    /// Waits for the next request's turn, for one that needs no permit of its own.
    pub(crate) async fn keep_pace(&self) {
        let Some(pace) = &self.pace else { return };
        let turn = {
            let mut next = pace.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*next).max(Instant::now());
            *next = turn + pace.interval;
            turn
        };
        tokio::time::sleep_until(turn).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn no_more_than_the_bound_are_admitted_until_one_ends() {
        let limiter = Limiter::new(2, None);
        let first = limiter.admit(RequestClass::Other).await;
        let _second = limiter.admit(RequestClass::Other).await;
        assert!(limiter.admit(RequestClass::Other).now_or_never().is_none());
        assert!(
            limiter
                .admit(RequestClass::Download)
                .now_or_never()
                .is_some()
        );
        drop(first);
        assert!(limiter.admit(RequestClass::Other).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_spreads_requests_over_time() {
        let limiter = Limiter::new(100, Some(10));
        let began = Instant::now();
        for _ in 0..21 {
            limiter.admit(RequestClass::Other).await;
        }
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(2), "{took:?}");
        assert!(took < Duration::from_millis(2100), "{took:?}");
    }
}
