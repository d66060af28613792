//! Tells blocking work that its outcome is no longer wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, ErrorKind, Result};

/// Is kept by the future that waits for blocking work. When it is dropped, the [flags](Self::flag) say so.
#[derive(Debug, Default)]
pub struct Wanted(Arc<AtomicBool>);

impl Wanted {
    /// Returns a flag for the work.
    #[must_use]
    pub fn flag(&self) -> WantedFlag {
        WantedFlag(Arc::clone(&self.0))
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Tells whether the outcome of the work is still wanted.
#[derive(Debug, Clone)]
pub struct WantedFlag(Arc<AtomicBool>);

impl WantedFlag {
    /// Fails if the outcome is no longer wanted. Long work calls it for each piece.
    ///
    /// # Errors
    /// [`Aborted`](ErrorKind::Aborted) if the [`Wanted`] was dropped.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Aborted, "the operation was dropped"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_wanted_until_the_waiting_side_is_dropped() {
        let wanted = Wanted::default();
        let flag = wanted.flag();
        assert!(flag.check().is_ok());
        drop(wanted);
        let error = flag.check().expect_err("dropped");
        assert_eq!(error.kind(), ErrorKind::Aborted);
    }
}
