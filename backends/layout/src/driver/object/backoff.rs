//! Pauses between attempts, each of another length, so that those who met do not meet again.

use std::time::Duration;

/// Pauses that grow.
#[derive(Debug)]
pub(super) struct Backoff {
    longest: Duration,
    limit: Duration,
}

impl Backoff {
    /// The first pause is no longer than `first`, and none longer than `limit`.
    pub(super) fn new(first: Duration, limit: Duration) -> Self {
        Self {
            longest: first,
            limit,
        }
    }

    /// Waits for between half and the whole of the time that it is now.
    pub(super) async fn pause(&mut self) {
        let longest = self.longest;
        self.longest = (longest * 2).min(self.limit);
        // Without random numbers the pauses are equal, and still pauses.
        let random = getrandom::u32().unwrap_or_default();
        let part = 0.5 + f64::from(random) / f64::from(u32::MAX) / 2.0;
        tokio::time::sleep(longest.mul_f64(part)).await;
    }
}
