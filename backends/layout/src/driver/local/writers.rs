//! Shares the memory for gathering content among the large pushes to a layout.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What all large pushes together gather, in bytes, before blocking threads get it. With batches being
/// hashed, being written and waiting for that, up to five times as much is in memory, and a piece of
/// each source.
const GATHERED: usize = 1024 * 1024;

/// The large pushes to a layout that are under way.
#[derive(Debug, Default)]
pub(super) struct Writers(AtomicUsize);

impl Writers {
    pub(super) fn enter(&self) -> Writer<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Writer(self)
    }
}

/// One of them, until it is dropped.
pub(super) struct Writer<'a>(&'a Writers);

impl Writer<'_> {
    /// How many bytes it is to gather now.
    pub(super) fn batch(&self) -> usize {
        GATHERED / self.0.0.load(Ordering::Relaxed).max(1)
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_at_the_same_time_share_what_is_gathered() {
        let writers = Writers::default();
        let first = writers.enter();
        assert_eq!(first.batch(), GATHERED);
        let others: Vec<_> = (0..3).map(|_| writers.enter()).collect();
        assert_eq!(first.batch(), GATHERED / 4);
        drop(others);
        assert_eq!(first.batch(), GATHERED);
    }
}
