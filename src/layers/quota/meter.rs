//! What a layer tells of the bytes that it stores.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Digest, Error, ErrorKind, Result};

/// Counts bytes against a limit. Bytes are reserved before they are stored.
pub(in crate::layers) trait Meter: Send + Sync + fmt::Debug {
    /// Reserves `bytes` if the limit allows it. Nothing always fits.
    fn reserve(&self, bytes: u64) -> Result<()>;

    /// Reserves `bytes`, whatever the limit.
    fn reserve_stored(&self, bytes: u64);

    /// Frees reserved bytes.
    fn release(&self, bytes: u64);

    /// Turns reserved bytes into stored ones.
    fn store(&self, bytes: u64);

    /// Notes that a push of the content with this digest begins.
    fn begin(&self, _: &Digest) {}

    /// Notes that a push has ended that has stored new content, if `is_new`. Returns whether the content counts: not if
    /// another push of the same content, which ran at the same time, has counted it.
    fn end(&self, _: &Digest, is_new: bool) -> bool {
        is_new
    }

    /// Frees stored bytes.
    fn remove(&self, bytes: u64);

    /// # Errors
    /// An error if not even one byte more fits.
    fn check_room(&self) -> Result<()>;

    /// # Errors
    /// An error if more is stored and reserved than the limit allows.
    fn check_limit(&self) -> Result<()>;

    /// Returns whether a blob counts in each repository, also if it is mounted from another one.
    fn counts_mounts(&self) -> bool;
}

/// How many bytes are stored, and how many may be.
#[derive(Debug)]
pub(in crate::layers) struct Usage {
    limit: Option<u64>,
    used: AtomicU64,
}

impl Usage {
    pub(in crate::layers) fn new(limit: Option<u64>, used: u64) -> Self {
        let used = AtomicU64::new(used);
        Self { limit, used }
    }

    pub(in crate::layers) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

impl Meter for Usage {
    fn reserve(&self, bytes: u64) -> Result<()> {
        let limit = self.limit.unwrap_or(u64::MAX);
        // Nothing always fits, also if more is used than the limit allows.
        let fits = |sum: &u64| bytes == 0 || *sum <= limit;
        let enough = |used: u64| used.checked_add(bytes).filter(fits);
        let added = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough);
        added.map(|_| ()).map_err(|used| {
            let message = format!("{bytes} bytes do not fit the quota of {limit}: {used} are used");
            Error::new(ErrorKind::StorageFull, message)
                .with_hint("delete content, or ask for a larger quota")
        })
    }

    fn reserve_stored(&self, bytes: u64) {
        let _ = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                Some(used.saturating_add(bytes))
            });
    }

    fn release(&self, bytes: u64) {
        let _ = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                Some(used.saturating_sub(bytes))
            });
    }

    fn store(&self, _: u64) {}

    fn remove(&self, bytes: u64) {
        self.release(bytes);
    }

    fn check_room(&self) -> Result<()> {
        Ok(())
    }

    fn check_limit(&self) -> Result<()> {
        Ok(())
    }

    fn counts_mounts(&self) -> bool {
        false
    }
}
