//! How many bytes of content there are, and how many there may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tranship::{Error, ErrorKind, Result};

#[derive(Debug)]
pub(crate) struct Quota {
    limit: u64,
    used: AtomicU64,
}

impl Quota {
    pub(crate) fn new(limit: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.unwrap_or(u64::MAX),
            used: AtomicU64::new(0),
        })
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether `bytes` more would fit at this moment. Takes nothing, so that a claimed size cannot
    /// keep others out.
    pub(crate) fn check(&self, bytes: u64) -> Result<()> {
        let used = self.used();
        match used.checked_add(bytes) {
            Some(total) if total <= self.limit => Ok(()),
            _ => Err(self.full(used, bytes)),
        }
    }

    fn take(&self, bytes: u64) -> Result<()> {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|&total| total <= self.limit)
            })
            .map(drop)
            .map_err(|used| self.full(used, bytes))
    }

    fn full(&self, used: u64, bytes: u64) -> Error {
        Error::new(
            ErrorKind::StorageFull,
            format!(
                "{bytes} bytes do not fit, {used} of {} bytes are in use",
                self.limit
            ),
        )
    }
}

/// Bytes that are in use until this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    quota: Arc<Quota>,
    bytes: u64,
}

impl Reservation {
    pub(crate) fn empty(quota: Arc<Quota>) -> Self {
        Self { quota, bytes: 0 }
    }

    pub(crate) fn grow(&mut self, bytes: u64) -> Result<()> {
        self.quota.take(bytes)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.quota.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
