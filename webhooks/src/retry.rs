//! When a delivery that has failed is tried again.

use std::time::Duration;

/// When deliveries that have failed are tried again: after [`min_delay`](Self::min_delay), and then after a time that
/// doubles with each failure.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryOptions {
    /// The time after the first failure. One second by default.
    pub min_delay: Duration,
    /// The longest time between attempts. A longer `Retry-After` of the receiver is shortened to this. 5 minutes by
    /// default.
    pub max_delay: Duration,
    /// How long after it happened an event is tried; it is dropped when an attempt after that fails. 3 days by default.
    pub give_up_after: Duration,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            min_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(5 * 60),
            give_up_after: Duration::from_secs(3 * 24 * 60 * 60),
        }
    }
}

impl RetryOptions {
    /// Sets [`min_delay`](Self::min_delay).
    #[must_use]
    pub fn with_min_delay(mut self, delay: Duration) -> Self {
        self.min_delay = delay;
        self
    }

    /// Sets [`max_delay`](Self::max_delay).
    #[must_use]
    pub fn with_max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// Sets [`give_up_after`](Self::give_up_after).
    #[must_use]
    pub fn with_give_up_after(mut self, time: Duration) -> Self {
        self.give_up_after = time;
        self
    }

    /// Returns the time to wait after `failures` failures in a row, if the receiver asked for `retry_after`.
    pub(crate) fn delay(&self, failures: u32, retry_after: Option<Duration>) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        let delay = self.min_delay.saturating_mul(doubled);
        delay
            .max(retry_after.unwrap_or_default())
            .min(self.max_delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let retry = RetryOptions::default();
        let seconds = |failures| retry.delay(failures, None).as_secs();
        assert_eq!([1, 2, 3, 9, 10, 99].map(seconds), [1, 2, 4, 256, 300, 300]);
    }

    #[test]
    fn the_receiver_can_ask_for_a_longer_delay() {
        let retry = RetryOptions::default();
        for (asked, expected) in [(0, 2), (60, 60), (86_400, 300)] {
            let delay = retry.delay(2, Some(Duration::from_secs(asked)));
            assert_eq!(delay.as_secs(), expected);
        }
    }
}
