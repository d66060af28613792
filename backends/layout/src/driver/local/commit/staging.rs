//! The blobs of a batch that are not published yet: complete and verified, under temporary names.
//!
//! A blob gets its name when its content is durable, not before. So a process that finds a blob can rely on
//! its content, and after a sync that fails, a second attempt finds no blob that it could take for stored.
//! Syncing each blob on its own would take most of the time of a copy, so they are published in groups.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempPath;
use tranship::{Digest, Error, ErrorKind, Result};

use super::secure::MANY;

/// The most that a group holds, in files and in bytes, and for how long. A copy that is killed has to
/// transfer so much again.
const FILES: usize = 2048;
const BYTES: u64 = 16 * 1024 * 1024;
const AGE: Duration = Duration::from_millis(500);

/// The blobs of one batch that are still to be published.
#[derive(Debug, Default)]
pub(in crate::driver::local) struct Staging {
    group: Mutex<Group>,
    /// One thread publishes at a time.
    pub(super) publishing: Mutex<()>,
    /// Opened before the first blob is written: a sync of the file system reports all writes that have failed
    /// since then.
    pub(super) file_system: OnceLock<Option<File>>,
    has_failed: AtomicBool,
}

#[derive(Debug, Default)]
struct Group {
    blobs: HashMap<Digest, Staged>,
    /// Their size in bytes, and when the first one came.
    bytes: u64,
    since: Option<Instant>,
    /// The temporary names of blobs that are being published.
    published: HashMap<Digest, PathBuf>,
}

#[derive(Debug)]
pub(super) struct Staged {
    /// Removes the file when it is dropped.
    pub(super) path: TempPath,
    /// For the first few, the file through which the content was written: a sync through it reports every
    /// write that has failed.
    pub(super) file: Option<Arc<File>>,
    pub(super) kind: StagedKind,
}

/// How a temporary name was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::driver::local) enum StagedKind {
    /// The only name of its file.
    Written,
    /// Another name of a file, which may have that of the blob, too, by now.
    Link,
}

impl Group {
    fn is_due(&self, now: Instant) -> bool {
        let is_old = |since| now.saturating_duration_since(since) >= AGE;
        self.blobs.len() >= FILES || self.bytes >= BYTES || self.since.is_some_and(is_old)
    }
}

impl Staging {
    /// Prepares for files in `directory`, before the first is created.
    pub(super) fn begin(&self, directory: &Path) {
        self.file_system.get_or_init(|| File::open(directory).ok());
    }

    /// Takes a complete and verified blob of `size` bytes.
    ///
    /// # Errors
    /// `Io` if another blob of the batch could not be made durable.
    pub(in crate::driver::local) fn add(
        &self,
        digest: &Digest,
        (path, file): (TempPath, Arc<File>),
        kind: StagedKind,
        size: u64,
    ) -> Result<()> {
        self.check()?;
        let mut group = self.lock();
        group.bytes = group.bytes.saturating_add(size);
        group.since.get_or_insert_with(Instant::now);
        let file = (group.blobs.len() < MANY).then_some(file);
        let replaced = group.blobs.insert(*digest, Staged { path, file, kind });
        drop(group);
        // Removes a file.
        drop(replaced);
        Ok(())
    }

    /// Returns the temporary name of a blob.
    pub(in crate::driver::local) fn find(&self, digest: &Digest) -> Option<PathBuf> {
        let group = self.lock();
        let staged = group.blobs.get(digest);
        let staged = staged.map(|staged| staged.path.to_owned());
        staged.or_else(|| group.published.get(digest).cloned())
    }

    /// Whether it is time to publish.
    pub(in crate::driver::local) fn is_due(&self) -> bool {
        self.lock().is_due(Instant::now())
    }

    /// Takes the blobs to publish now. [`find`](Self::find) finds their temporary names until all of them have
    /// their own.
    pub(super) fn begin_group(&self) -> Vec<(Digest, Staged)> {
        let mut group = self.lock();
        (group.bytes, group.since) = (0, None);
        let blobs = std::mem::take(&mut group.blobs);
        let path = |(digest, staged): (&Digest, &Staged)| (*digest, staged.path.to_owned());
        group.published = blobs.iter().map(path).collect();
        blobs.into_iter().collect()
    }

    /// Says that all blobs of the group have their names.
    pub(super) fn end_group(&self) {
        self.lock().published.clear();
    }

    /// Gives up everything: the blobs are lost, and every later call fails.
    pub(super) fn fail(&self) {
        self.has_failed.store(true, Ordering::Relaxed);
        let lost = std::mem::take(&mut *self.lock());
        // Without the lock, as it removes files.
        drop(lost);
    }

    /// # Errors
    /// `Io` if a blob of the batch could not be made durable.
    pub(super) fn check(&self) -> Result<()> {
        if !self.has_failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Io,
            "other content of the same batch could not be made durable",
        )
        .with_hint("push everything again, in a new batch"))
    }

    fn lock(&self) -> MutexGuard<'_, Group> {
        self.group.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(count: usize, bytes: u64, since: Option<Instant>) -> Group {
        let staged = |number: usize| {
            let path = TempPath::try_from_path(format!("/{number}")).expect("a path");
            let staged = Staged {
                path,
                file: None,
                kind: StagedKind::Written,
            };
            (Digest::of(&number.to_le_bytes()), staged)
        };
        Group {
            blobs: (0..count).map(staged).collect(),
            bytes,
            since,
            published: HashMap::new(),
        }
    }

    #[test]
    fn a_group_is_published_when_it_is_large_or_old() {
        let now = Instant::now();
        assert!(!group(0, 0, None).is_due(now + AGE));
        assert!(!group(FILES - 1, BYTES - 1, Some(now)).is_due(now));
        assert!(group(FILES, 1, Some(now)).is_due(now));
        assert!(group(1, BYTES, Some(now)).is_due(now));
        assert!(group(1, 1, Some(now)).is_due(now + AGE));
    }
}
