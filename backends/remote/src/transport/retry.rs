//! Decides when a request is retried.

use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

use crate::retry_policy::RetryPolicy;

/// The retries of one request, or of a transfer without progress.
#[derive(Debug)]
pub(crate) struct Retries {
    policy: RetryPolicy,
    made: u32,
}

impl Retries {
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        Self { policy, made: 0 }
    }

    /// Resets the count after progress of the transfer.
    pub(crate) fn reset(&mut self) {
        self.made = 0;
    }

    /// Waits before the next attempt. Returns `false` immediately if there are no attempts left.
    pub(crate) async fn pause(&mut self, asked: Option<Duration>) -> bool {
        let Some(pause) = self.next_pause(asked) else {
            return false;
        };
        tokio::time::sleep(pause).await;
        true
    }

    fn next_pause(&mut self, asked: Option<Duration>) -> Option<Duration> {
        if self.made >= self.policy.max_retries
            || asked.is_some_and(|asked| asked > self.policy.longest_asked_pause)
        {
            return None;
        }
        let doubled = self
            .policy
            .first_pause
            .saturating_mul(1_u32.checked_shl(self.made).unwrap_or(u32::MAX));
        self.made += 1;
        let own = jittered(doubled.min(self.policy.longest_pause));
        // The registry names the same time to all clients, so we add a little to spread them.
        Some(match asked {
            Some(asked) => asked + own.min(Duration::from_secs(1)),
            None => own,
        })
    }
}

/// Returns a random duration between half of `pause` and all of it.
fn jittered(pause: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX);
    pause.mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX) / 2.0)
}

/// Returns whether a status means that the same request may succeed later.
pub(crate) fn is_transient(status: StatusCode) -> bool {
    match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::NOT_IMPLEMENTED
        | StatusCode::HTTP_VERSION_NOT_SUPPORTED
        | StatusCode::LOOP_DETECTED => false,
        status => status.is_server_error() && status != StatusCode::INSUFFICIENT_STORAGE,
    }
}

/// Returns how long the registry asks to wait (RFC 9110, section 10.2.3), in seconds or until a date.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    Some(
        until
            .duration_since(SystemTime::now())
            .unwrap_or(Duration::ZERO),
    )
}

/// Returns what to tell a user of a registry that asks to wait: how long, and until when if a calendar has the time.
pub(crate) fn hint(asked: Duration, now: SystemTime) -> String {
    /// 9999-12-31, the last date that HTTP can state.
    const LAST: Duration = Duration::from_secs(253_402_214_400);
    let wait = format!("the registry asks to wait {} seconds", asked.as_secs());
    let until = now.checked_add(asked);
    match until.filter(|until| *until < SystemTime::UNIX_EPOCH + LAST) {
        Some(until) => {
            let until = httpdate::fmt_http_date(until);
            format!("{wait}; try again after {until}")
        }
        None => wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(policy: RetryPolicy, asked: Option<Duration>) -> Vec<Duration> {
        let mut retries = Retries::new(policy);
        std::iter::from_fn(|| retries.next_pause(asked)).collect()
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_end() {
        let pauses = pauses(RetryPolicy::default().with_max_retries(7), None);
        let most = [200, 400, 800, 1600, 3200, 5000, 5000].map(Duration::from_millis);
        assert_eq!(pauses.len(), most.len());
        for (pause, most) in pauses.into_iter().zip(most) {
            assert!(pause >= most / 2 && pause <= most, "{pause:?} of {most:?}");
        }
    }

    #[test]
    fn what_the_registry_asks_for_goes_first_up_to_a_bound() {
        let policy = RetryPolicy::default().with_max_retries(1);
        let asked = Duration::from_secs(20);
        let waited = pauses(policy, Some(asked));
        assert!(waited[0] >= asked && waited[0] <= asked + Duration::from_secs(1));
        assert!(pauses(policy, Some(Duration::from_secs(61))).is_empty());
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let parse = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().expect("a value"));
            retry_after(&headers)
        };
        assert_eq!(parse("120"), Some(Duration::from_secs(120)));
        assert_eq!(
            parse("99999999999999999999"),
            Some(Duration::from_secs(u64::MAX))
        );
        assert_eq!(parse("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(30));
        let seconds = parse(&soon).expect("a date").as_secs();
        assert!((25..=30).contains(&seconds), "{seconds}");
        for other in ["", "-1", "1.5", "soon"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_hint_says_when_to_try_again() {
        let hint = |seconds| {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
            super::hint(Duration::from_secs(seconds), now)
        };
        let expected =
            "the registry asks to wait 3600 seconds; try again after Sun, 06 Nov 1994 09:49:37 GMT";
        assert_eq!(hint(3600), expected);
        for seconds in [253_402_214_400, u64::MAX] {
            let expected = format!("the registry asks to wait {seconds} seconds");
            assert_eq!(hint(seconds), expected);
        }
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        for status in [408, 429, 500, 502, 503, 504, 522, 599] {
            assert!(is_transient(
                StatusCode::from_u16(status).expect("a status")
            ));
        }
        for status in [200, 201, 400, 401, 404, 416, 501, 505, 507, 508] {
            assert!(!is_transient(
                StatusCode::from_u16(status).expect("a status")
            ));
        }
    }
}
