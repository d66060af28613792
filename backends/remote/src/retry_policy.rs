//! When failed requests are retried.

use std::time::Duration;

/// Which failed requests are retried, and when.
///
/// A request that is safe to repeat is retried if its connection cannot be made, breaks or stalls, and if the response
/// is 408, 429, or 5xx other than 501, 505, 507 and 508. The pause doubles with each retry and is jittered. A `Retry-After` of
/// the registry takes precedence.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How many times a request is retried, and how many times in a row a transfer that makes no progress is continued.
    /// 5 by default.
    pub max_retries: u32,
    /// The first pause. 200 milliseconds by default.
    pub first_pause: Duration,
    /// The longest pause without a `Retry-After`. 5 seconds by default.
    pub longest_pause: Duration,
    /// The longest pause that a registry may ask for; if it asks for more, the request fails as
    /// [`RateLimited`](tranship::ErrorKind::RateLimited). 60 seconds by default.
    pub longest_asked_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 5,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(5),
            longest_asked_pause: Duration::from_secs(60),
        }
    }
}

impl RetryPolicy {
    /// Sets [`max_retries`](Self::max_retries).
    #[must_use]
    pub const fn with_max_retries(mut self, max_retries: u32) -> Self {
        self.max_retries = max_retries;
        self
    }

    /// Sets [`first_pause`](Self::first_pause).
    #[must_use]
    pub const fn with_first_pause(mut self, first_pause: Duration) -> Self {
        self.first_pause = first_pause;
        self
    }

    /// Sets [`longest_pause`](Self::longest_pause).
    #[must_use]
    pub const fn with_longest_pause(mut self, longest_pause: Duration) -> Self {
        self.longest_pause = longest_pause;
        self
    }

    /// Sets [`longest_asked_pause`](Self::longest_asked_pause).
    #[must_use]
    pub const fn with_longest_asked_pause(mut self, longest_asked_pause: Duration) -> Self {
        self.longest_asked_pause = longest_asked_pause;
        self
    }
}
