//! How a check runs, and what it tells meanwhile.

use std::fmt;
use std::sync::Arc;

type Callback = Arc<dyn Fn(FsckProgress) + Send + Sync>;

/// How a layout is checked.
///
/// ```
/// use tranship_layout::FsckOptions;
///
/// let options = FsckOptions::default().with_progress(|progress| {
///     eprintln!("{} of {} bytes", progress.bytes, progress.total_bytes);
/// });
/// ```
#[non_exhaustive]
#[derive(Clone, Default)]
pub struct FsckOptions {
    pub(crate) progress: Option<Callback>,
}

/// How far a check is.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FsckProgress {
    /// How many blobs and manifests were hashed.
    pub blobs: u64,
    /// How many there are.
    pub total_blobs: u64,
    /// How many bytes were hashed.
    pub bytes: u64,
    /// How many there are.
    pub total_bytes: u64,
}

impl FsckOptions {
    /// Calls `progress` as the check goes on, on the threads that hash: after each blob, and within
    /// large ones every few hundred KiB. It must not block.
    #[must_use]
    pub fn with_progress(
        mut self,
        progress: impl Fn(FsckProgress) + Send + Sync + 'static,
    ) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }
}

impl fmt::Debug for FsckOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FsckOptions").finish_non_exhaustive()
    }
}
