//! Which blobs this process has stored just now.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tranship::Digest;

/// For so long nobody removes it as garbage: less than [`LEAST_GRACE`].
const GRACE: Duration = Duration::from_secs(10 * 60);

/// What is younger is never removed as garbage. Writers go on what they stored a while ago without
/// looking for it again, and clocks tick differently.
pub(super) const LEAST_GRACE: Duration = Duration::from_secs(15 * 60);

/// How many blobs are remembered.
const MAX: usize = 16 * 1024;

/// A point in time by both clocks: one may be set, and the other stands still while a machine sleeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(Instant, SystemTime);

impl Moment {
    pub(super) fn now() -> Self {
        Self(Instant::now(), SystemTime::now())
    }

    fn is_recent(&self) -> bool {
        let by_the_clock = self.1.elapsed().is_ok_and(|elapsed| elapsed < GRACE);
        by_the_clock && self.0.elapsed() < GRACE
    }
}

/// Blobs that need not be looked for, since nobody can have removed them yet.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<HashMap<Digest, Moment>>);

impl Recent {
    /// Remembers a blob that came to be not before `moment`.
    pub(super) fn add(&self, digest: &Digest, moment: Moment) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= MAX {
            recent.retain(|_, moment| moment.is_recent());
        }
        // What does not fit is looked for, that is all.
        if recent.len() < MAX {
            recent.insert(*digest, moment);
        }
    }

    pub(super) fn forget(&self, digest: &Digest) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.remove(digest);
    }

    pub(super) fn contains(&self, digest: &Digest) -> bool {
        let recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.get(digest).is_some_and(Moment::is_recent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_recent_for_a_while() {
        let (recent, digest) = (Recent::default(), Digest::of(b"x"));
        assert!(!recent.contains(&digest));
        recent.add(&digest, Moment::now());
        assert!(recent.contains(&digest));
        recent.forget(&digest);
        assert!(!recent.contains(&digest));
    }

    #[test]
    fn a_clock_that_went_on_while_the_other_stood_still_ends_it() {
        let (recent, digest) = (Recent::default(), Digest::of(b"x"));
        recent.add(&digest, Moment(Instant::now(), SystemTime::now() - GRACE));
        assert!(!recent.contains(&digest));
    }
}
