//! The quirks of one server that are switched on.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::quirk::Quirk;

/// The quirks that are switched on, and their state.
pub(crate) struct Quirks {
    on: HashSet<Quirk>,
    requests: AtomicU64,
    /// Uploads that received a chunk that was too small.
    small_chunks: Mutex<HashSet<String>>,
    /// The paths of tags that were set.
    tags: Mutex<HashSet<String>>,
}

impl Quirks {
    pub(crate) fn new(on: impl IntoIterator<Item = Quirk>) -> Self {
        Self {
            on: on.into_iter().collect(),
            requests: AtomicU64::new(0),
            small_chunks: Mutex::default(),
            tags: Mutex::default(),
        }
    }

    pub(crate) fn has(&self, quirk: Quirk) -> bool {
        self.on.contains(&quirk)
    }

    /// Counts a request, and returns the number of earlier ones.
    pub(crate) fn count_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// Records that the tag at `path` is set, or that it is not.
    pub(crate) fn record_tag(&self, path: &str, is_set: bool) {
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        match is_set {
            true => tags.insert(path.to_owned()),
            false => tags.remove(path),
        };
    }

    /// Returns whether the tag at `path` was set.
    pub(crate) fn has_tag(&self, path: &str) -> bool {
        let tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        tags.contains(path)
    }

    /// Returns whether the upload `id` has received a small chunk before, and records this one if it `is_small`.
    pub(crate) fn small_chunk(&self, id: &str, is_small: bool) -> bool {
        let mut ids = self
            .small_chunks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match is_small {
            true => !ids.insert(id.to_owned()),
            false => ids.contains(id),
        }
    }
}

impl fmt::Debug for Quirks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut quirks: Vec<_> = self.on.iter().collect();
        quirks.sort();
        quirks.fmt(f)
    }
}
