//! How a bundle is written, and the files that result.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// How a bundle is written.
#[non_exhaustive]
#[derive(Clone)]
pub struct WriteOptions {
    /// How many small blobs are read at the same time; by default 6. Each takes up to 1 MiB of memory.
    pub concurrency: usize,
    progress: Option<Arc<Progress>>,
}

type Progress = dyn Fn(u64) + Send + Sync;

impl WriteOptions {
    /// Sets [`concurrency`](Self::concurrency); 0 counts as 1.
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency.max(1);
        self
    }

    /// Calls `progress` with the number of bytes of the volumes that were written, or found from an earlier write, since
    /// the last call. A part that has to be written again is counted again.
    #[must_use]
    pub fn with_progress(mut self, progress: impl Fn(u64) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    pub(super) fn report(&self, bytes: u64) {
        if let Some(progress) = &self.progress {
            progress(bytes);
        }
    }
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            concurrency: 6,
            progress: None,
        }
    }
}

impl fmt::Debug for WriteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteOptions")
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

/// The files of a bundle that was written.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteReport {
    /// The volumes in their order.
    pub volumes: Vec<WrittenVolume>,
}

/// A file of a bundle.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenVolume {
    /// The path of the file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Whether an earlier write had finished it.
    pub kept: bool,
}
