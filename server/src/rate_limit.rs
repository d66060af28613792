//! Limits on how often something happens, for each user and each address.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tranship::{Error, ErrorKind, Result};

/// How many keys are remembered. Beyond that, new ones share a bucket, so that memory is bounded.
const MAX_BUCKETS: usize = 20_000;

/// How often something may happen: a number of times in a period. The whole number may also happen at once.
///
/// ```
/// use std::time::Duration;
/// use tranship_server::Rate;
///
/// let rate: Rate = "600/m".parse()?;
/// assert_eq!((rate.count, rate.period), (600, Duration::from_secs(60)));
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many times.
    pub count: u32,
    /// In which period.
    pub period: Duration,
}

impl Rate {
    /// Returns a rate of `count` times in a `period`, both at least one: a count of 0 is one, and a shorter period is
    /// a second.
    #[must_use]
    pub fn new(count: u32, period: Duration) -> Self {
        Self {
            count: count.max(1),
            period: period.max(Duration::from_secs(1)),
        }
    }
}

impl FromStr for Rate {
    type Err = Error;

    /// Parses a number and a unit of time: `10/s`, `600/m` or `1000/h`.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for any other text, and for 0.
    fn from_str(text: &str) -> Result<Self> {
        let invalid = || {
            Error::new(
                ErrorKind::InvalidInput,
                "invalid rate: expected a number and s, m or h",
            )
            .with_hint("write for example 10/s, 600/m or 1000/h")
        };
        let (count, unit) = text.split_once('/').ok_or_else(invalid)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            _ => return Err(invalid()),
        };
        let count = count.parse().ok().filter(|count| *count > 0);
        let count = count.ok_or_else(invalid)?;
        Ok(Self::new(count, Duration::from_secs(seconds)))
    }
}

/// Counts what happens for each key, as a token bucket: a bucket has room for the count of the rate, and fills within
/// its period.
pub(crate) struct RateLimiter<K> {
    rate: Rate,
    /// `None` is the key that further keys share.
    buckets: Mutex<HashMap<Option<K>, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// When it will be full again.
    full_at: Instant,
}

impl<K: Eq + Hash> RateLimiter<K> {
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            rate,
            buckets: Mutex::default(),
        }
    }

    /// Counts one more for `key`.
    ///
    /// # Errors
    /// The time to wait if the rate is exceeded. It is not counted in that case.
    pub(crate) fn count(&self, key: K) -> Result<(), Duration> {
        self.count_at(key, Instant::now())
    }

    fn count_at(&self, key: K, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_BUCKETS {
            buckets.retain(|_, bucket| bucket.full_at > now);
        }
        let mut key = Some(key);
        if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(&key) {
            key = None;
        }
        let bucket = buckets.entry(key).or_insert(Bucket { full_at: now });
        match self.next(*bucket, now) {
            Ok(next) => {
                *bucket = next;
                Ok(())
            }
            Err(wait) => Err(wait),
        }
    }

    /// Returns how long to wait until one more may be counted for `key`, or `None` if it may be now.
    pub(crate) fn wait(&self, key: K) -> Option<Duration> {
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.get(&Some(key))?;
        self.next(*bucket, Instant::now()).err()
    }

    /// Returns the bucket after one more is taken at the time `now`, or the time to wait if it is empty.
    fn next(&self, bucket: Bucket, now: Instant) -> Result<Bucket, Duration> {
        let interval = self.rate.period / self.rate.count.max(1);
        let full_at = bucket.full_at.max(now) + interval;
        let wait = full_at.saturating_duration_since(now + self.rate.period);
        if wait.is_zero() {
            Ok(Bucket { full_at })
        } else {
            Err(wait)
        }
    }
}

impl<K> fmt::Debug for RateLimiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RateLimiter").field(&self.rate).finish()
    }
}

/// Returns the address by which a client is limited. Of IPv6 it is the network of 64 bits, since a client usually has
/// all of its addresses.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(prefix))
        }
        address => address,
    }
}

/// Returns the value of `Retry-After`: whole seconds, at least one.
pub(crate) fn retry_after(wait: Duration) -> u64 {
    let rounded_up = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    rounded_up.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_a_count_and_a_unit() {
        let rate = |text: &str| text.parse::<Rate>().ok();
        assert_eq!(rate("10/s"), Some(Rate::new(10, Duration::from_secs(1))));
        assert_eq!(rate("1/h"), Some(Rate::new(1, Duration::from_secs(3600))));
        for text in ["", "10", "/s", "0/s", "-1/s", "1/d", "1/ s", "1.5/s"] {
            assert_eq!(rate(text), None, "{text}");
        }
    }

    #[test]
    fn a_bucket_fills_within_its_period() {
        let limiter = RateLimiter::new(Rate::new(3, Duration::from_secs(60)));
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        for _ in 0..3 {
            assert_eq!(limiter.count_at("a", start), Ok(()));
        }
        let wait = limiter.count_at("a", start).expect_err("too many");
        assert_eq!(wait, Duration::from_secs(20));
        assert_eq!(limiter.count_at("b", start), Ok(()));
        assert!(limiter.count_at("a", after(19)).is_err());
        assert_eq!(limiter.count_at("a", after(20)), Ok(()));
        assert!(limiter.count_at("a", after(20)).is_err());
        for _ in 0..3 {
            assert_eq!(limiter.count_at("a", after(200)), Ok(()));
        }
        assert!(limiter.count_at("a", after(200)).is_err());
    }

    #[test]
    fn memory_is_bounded() {
        let limiter = RateLimiter::new(Rate::new(1, Duration::from_secs(60)));
        let start = Instant::now();
        for key in 0..MAX_BUCKETS {
            assert_eq!(limiter.count_at(key, start), Ok(()));
        }
        // Further keys share one bucket.
        assert_eq!(limiter.count_at(MAX_BUCKETS, start), Ok(()));
        assert!(limiter.count_at(MAX_BUCKETS + 1, start).is_err());
        // Full buckets are forgotten.
        let later = start + Duration::from_secs(61);
        assert_eq!(limiter.count_at(MAX_BUCKETS + 1, later), Ok(()));
        let count = limiter.buckets.lock().expect("a lock").len();
        assert_eq!(count, 1);
    }

    #[test]
    fn addresses_of_one_network_are_limited_together() {
        let network = |text: &str| network(text.parse().expect("an address")).to_string();
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }

    #[test]
    fn the_time_to_wait_is_rounded_up() {
        for (wait, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (20_000, 20)] {
            assert_eq!(retry_after(Duration::from_millis(wait)), seconds);
        }
    }
}
