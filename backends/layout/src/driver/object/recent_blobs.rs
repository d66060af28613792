//! The blobs that this process has stored recently.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tranship::Digest;

/// How long after it was stored a blob is assumed to exist. No process removes it as garbage within [`LEAST_GRACE`],
/// which is longer.
const GRACE: Duration = Duration::from_secs(10 * 60);

/// The age below which a blob is never removed as garbage. Writers assume that the blobs exist that they have stored
/// recently, and clocks differ.
pub(super) const LEAST_GRACE: Duration = Duration::from_secs(15 * 60);

/// How many blobs are remembered at most.
const MAX: usize = 16 * 1024;

/// A point in time by both clocks. One may be set, and the other stops while the machine sleeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timestamp(Instant, SystemTime);

impl Timestamp {
    pub(super) fn now() -> Self {
        Self(Instant::now(), SystemTime::now())
    }

    fn is_recent(&self) -> bool {
        self.is_within(GRACE)
    }

    /// Returns whether less than `time` has passed since then.
    pub(super) fn is_within(&self, time: Duration) -> bool {
        let by_system_clock = self.1.elapsed().is_ok_and(|elapsed| elapsed < time);
        by_system_clock && self.0.elapsed() < time
    }
}

/// Blobs that are assumed to exist, because no process can have removed them yet.
#[derive(Debug, Default)]
pub(super) struct RecentBlobs(Mutex<HashMap<Digest, Timestamp>>);

impl RecentBlobs {
    /// Remembers a blob that was stored at or after `stored_at`.
    pub(super) fn add(&self, digest: &Digest, stored_at: Timestamp) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= MAX {
            recent.retain(|_, stored_at| stored_at.is_recent());
        }
        // For a blob that is not remembered, the store is asked.
        if recent.len() < MAX {
            recent.insert(*digest, stored_at);
        }
    }

    pub(super) fn forget(&self, digest: &Digest) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.remove(digest);
    }

    pub(super) fn contains(&self, digest: &Digest) -> bool {
        let recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.get(digest).is_some_and(Timestamp::is_recent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_recent_for_a_while() {
        let (recent, digest) = (RecentBlobs::default(), Digest::of(b"x"));
        assert!(!recent.contains(&digest));
        recent.add(&digest, Timestamp::now());
        assert!(recent.contains(&digest));
        recent.forget(&digest);
        assert!(!recent.contains(&digest));
    }

    #[test]
    fn a_blob_is_not_recent_if_either_clock_says_so() {
        let (recent, digest) = (RecentBlobs::default(), Digest::of(b"x"));
        recent.add(
            &digest,
            Timestamp(Instant::now(), SystemTime::now() - GRACE),
        );
        assert!(!recent.contains(&digest));
    }
}
