//! The directory of one layout, with everything that its operations share.

use std::path::PathBuf;
use std::sync::Arc;

use tranship::blocking::{self, Disk, Work};
use tranship::{Digest, Result};

use super::commit::Commit;
use super::imports::Imports;
use super::paths::Paths;
use super::recent_blobs::RecentBlobs;
use super::writers::Writers;
use crate::options::Durability;

/// Up to this size, in bytes, content is handled in one go.
pub(super) const SMALL: u64 = 128 * 1024;

/// One layout on a local disk.
#[derive(Debug)]
pub(super) struct LocalDirectory {
    pub(super) paths: Arc<Paths>,
    pub(super) commit: Arc<Commit>,
    pub(super) imports: Arc<Imports>,
    pub(super) disk: Disk,
    pub(super) recent: Arc<RecentBlobs>,
    pub(super) writers: Arc<Writers>,
}

impl LocalDirectory {
    /// `root` is absolute. Nothing looks at the disk.
    pub(super) fn new(root: PathBuf, durability: Durability) -> Self {
        let paths = Arc::new(Paths::new(root));
        Self {
            commit: Arc::new(Commit::new(Arc::clone(&paths), durability)),
            paths,
            imports: Arc::default(),
            disk: Disk::default(),
            recent: Arc::default(),
            writers: Arc::default(),
        }
    }

    /// Returns the same directory, where blobs are published in groups, and by [`Commit::flush`].
    pub(super) fn for_batch(&self) -> Self {
        let commit = self.commit.for_batch();
        Self {
            paths: Arc::clone(&commit.paths),
            commit: Arc::new(commit),
            imports: Arc::clone(&self.imports),
            disk: self.disk.clone(),
            recent: Arc::clone(&self.recent),
            writers: Arc::clone(&self.writers),
        }
    }

    /// As [`Commit::flush`], if enough has been stored, or long enough ago.
    pub(super) async fn flush_if_due(self: &Arc<Self>) -> Result<()> {
        if !self.commit.is_due() {
            return Ok(());
        }
        let directory = Arc::clone(self);
        blocking::run(move || directory.commit.flush()).await
    }

    /// Runs work that makes a blob of `size` bytes of a file.
    pub(super) async fn copy_blob<T: Send + 'static>(
        &self,
        size: u64,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let kind = if size > SMALL {
            Work::Bulk
        } else if self.commit.syncs_at_once() {
            Work::Sync
        } else {
            Work::CopySmall
        };
        self.disk.run(kind, work).await
    }

    /// Runs work that writes a small blob.
    pub(super) async fn write_small<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let kind = if self.commit.syncs_at_once() {
            Work::Sync
        } else {
            Work::WriteSmall
        };
        self.disk.run(kind, work).await
    }

    /// Returns what `look` finds at the path of the blob `digest`, in a batch also at its temporary one.
    pub(super) fn find_blob<T>(
        &self,
        digest: &Digest,
        look: impl Fn(PathBuf) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        // It may be published between the two looks, so they have this order.
        if let Some(path) = self.commit.staged(digest)
            && let Some(found) = look(path)?
        {
            return Ok(Some(found));
        }
        match self.paths.blob(digest)? {
            Some(path) => look(path),
            None => Ok(None),
        }
    }
}
