//! Cancels blocking work whose outcome is no longer wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, ErrorKind, Result};

/// Cancels work when it is dropped: the future that waits for the work keeps it, and the work has a
/// [flag](Self::flag).
#[derive(Debug, Default)]
pub struct CancelOnDrop(Arc<AtomicBool>);

impl CancelOnDrop {
    /// Returns a flag for the work.
    #[must_use]
    pub fn flag(&self) -> CancelFlag {
        CancelFlag(Arc::clone(&self.0))
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Tells work whether it is cancelled.
#[derive(Debug, Clone)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Fails if the work is cancelled. Long work calls this for each piece.
    ///
    /// # Errors
    /// [`Aborted`](ErrorKind::Aborted) if the [`CancelOnDrop`] was dropped.
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
    fn work_is_cancelled_when_the_waiting_side_is_dropped() {
        let waiting = CancelOnDrop::default();
        let flag = waiting.flag();
        assert!(flag.check().is_ok());
        drop(waiting);
        let error = flag.check().expect_err("dropped");
        assert_eq!(error.kind(), ErrorKind::Aborted);
    }
}
