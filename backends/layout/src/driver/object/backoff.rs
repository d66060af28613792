//! Pauses between attempts, of random length, so that processes that have collided do not collide again.

use std::time::Duration;

/// Pauses that grow.
#[derive(Debug)]
pub(super) struct Backoff {
    longest: Duration,
    limit: Duration,
}

impl Backoff {
    /// The first pause lasts at most `first`, and no pause lasts longer than `limit`.
    pub(super) fn new(first: Duration, limit: Duration) -> Self {
        Self {
            longest: first,
            limit,
        }
    }

    /// Pauses for between half and the whole of the current length, and doubles it.
    pub(super) async fn pause(&mut self) {
        let longest = self.longest;
        self.longest = (longest * 2).min(self.limit);
        // Without random numbers, pauses of equal length are better than none.
        let random = getrandom::u32().unwrap_or_default();
        let part = 0.5 + f64::from(random) / f64::from(u32::MAX) / 2.0;
        tokio::time::sleep(longest.mul_f64(part)).await;
    }
}
