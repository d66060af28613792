//! The limit that a registry sets on pulls, as it states it.

use std::fmt;
use std::time::{Duration, SystemTime};

use tranship::RegistryName;

/// How many manifests a registry still lets this client fetch, as its last response said. See
/// [`RemoteRegistry::rate_limit`](crate::RemoteRegistry::rate_limit).
///
/// [`Display`](fmt::Display) prints `3 of 100 left`.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// How many manifests may be fetched within [`window`](Self::window); `None` if the registry does not say.
    pub limit: Option<u64>,
    /// How many manifests may still be fetched.
    pub remaining: u64,
    /// The period that the limit is for, in whole seconds; `None` if the registry does not say.
    pub window: Option<Duration>,
    /// What the registry counts for: an address or the id of an account. `None` if it does not say. At most 256 printable
    /// characters.
    pub source: Option<String>,
    /// When the response arrived.
    pub seen_at: SystemTime,
}

impl fmt::Display for RateLimitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            Some(limit) => write!(f, "{} of {limit} left", self.remaining),
            None => write!(f, "{} left", self.remaining),
        }
    }
}

/// The state of a client that waits because the rest of a rate limit is
/// [reserved](crate::RemoteOptions::rate_limit_reserve).
/// [`RemoteOptions::with_rate_limit_waits`](crate::RemoteOptions::with_rate_limit_waits) receives it.
///
/// [`Display`](fmt::Display) prints `waiting for the rate limit of docker.io: 3 of 100 left`.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitWait {
    /// The registry.
    pub registry: RegistryName,
    /// What the registry last said.
    pub status: RateLimitStatus,
    /// How many pulls are left to others, from [`RemoteOptions::rate_limit_reserve`](crate::RemoteOptions::rate_limit_reserve).
    pub reserve: u64,
}

impl fmt::Display for RateLimitWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            registry, status, ..
        } = self;
        write!(f, "waiting for the rate limit of {registry}: {status}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_says_how_many_are_left() {
        let status = RateLimitStatus {
            limit: Some(100),
            remaining: 3,
            window: None,
            source: None,
            seen_at: SystemTime::UNIX_EPOCH,
        };
        let mut wait = RateLimitWait {
            registry: "docker.io".parse().expect("a name"),
            status,
            reserve: 5,
        };
        assert_eq!(
            wait.to_string(),
            "waiting for the rate limit of docker.io: 3 of 100 left"
        );
        wait.status.limit = None;
        assert_eq!(
            wait.to_string(),
            "waiting for the rate limit of docker.io: 3 left"
        );
    }
}
