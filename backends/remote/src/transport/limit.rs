//! Limits on the requests to a registry that are in progress, and on their rate.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// The class of a request, each of which has its own limit. A copy inside one registry holds a download while its upload
/// waits, so with a single limit such copies could wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestClass {
    Download,
    Other,
}

#[derive(Debug)]
pub(crate) struct Limiter {
    downloads: Arc<Semaphore>,
    others: Arc<Semaphore>,
    rate_limit: Option<RateLimit>,
}

#[derive(Debug)]
struct RateLimit {
    interval: Duration,
    next: Mutex<Instant>,
}

/// Permits one request in progress until it is dropped. The body of the response holds it.
#[derive(Debug)]
pub(crate) struct Permit(
    #[allow(dead_code, reason = "the semaphore counts it until it is dropped")]
    Option<OwnedSemaphorePermit>,
);

impl Permit {
    /// Returns a permit for a request that the limits do not apply to.
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
            rate_limit: per_second.map(|rate| RateLimit {
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
        // The semaphore is never closed.
        let permit = Arc::clone(class).acquire_owned().await.ok();
        self.wait_for_turn().await;
        Permit(permit)
    }

    /// Waits until the rate limit allows the next request.
    async fn wait_for_turn(&self) {
        let Some(limit) = &self.rate_limit else {
            return;
        };
        let turn = {
            let mut next = limit.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*next).max(Instant::now());
            *next = turn + limit.interval;
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
