//! Where the files of one layout lie, and how files come there.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tempfile::{Builder, NamedTempFile};
use tranship::blocking::{self, Disk, Work};
use tranship::{Digest, Result};

use super::durable::Durable;
use super::recent::Recent;
use super::staging::Staging;
use super::sync::SharedSync;
use super::write::Writers;
use crate::driver::file::{failed, identity, is_directory, not_named, stat_regular, with_mode};
use crate::driver::stamp::Stamp;
use crate::driver::{BLOBS, INDEX, OCI_LAYOUT, PRIVATE, disk, marker};
use crate::options::Durability;

const TEMPORARY: &str = "tmp";

/// The directory of one layout.
#[derive(Debug)]
pub(super) struct Place {
    root: PathBuf,
    durability: Durability,
    syncs: Mutex<HashMap<PathBuf, Arc<SharedSync>>>,
    cannot_clone: AtomicBool,
    cannot_link: AtomicBool,
    /// The device that the layout lies on, once it was looked for.
    device: OnceLock<Option<u64>>,
    /// Which directories were seen to be directories: a bit for each.
    seen: AtomicU32,
    is_batch: bool,
    disk: Disk,
    recent: Arc<Recent>,
    writers: Arc<Writers>,
    /// The files and directories that are known to be durable.
    durable: Arc<Durable>,
    /// The blobs that are not published yet, in a batch that syncs.
    staging: Option<Staging>,
}

/// Up to this size, in bytes, content is handled in one go.
pub(super) const SMALL: u64 = 128 * 1024;

/// The bits of [`Place::seen`] that are not those of an algorithm's directory.
const SEEN_NO_SUSPECTS: u32 = 1 << 29;
const SEEN_TEMPORARY: u32 = 1 << 30;
const SEEN_LAYOUT: u32 = 1 << 31;

/// The bit of [`Place::seen`] for the directory that the blob lies in.
fn seen_algorithm(digest: &Digest) -> u32 {
    1 << (digest.algorithm() as u32)
}

impl Place {
    /// `root` is absolute.
    pub(super) fn new(root: PathBuf, durability: Durability) -> Self {
        Self {
            root,
            durability,
            syncs: Mutex::default(),
            cannot_clone: AtomicBool::new(false),
            cannot_link: AtomicBool::new(false),
            device: OnceLock::new(),
            seen: AtomicU32::new(0),
            is_batch: false,
            disk: Disk::default(),
            recent: Arc::default(),
            writers: Arc::default(),
            durable: Arc::default(),
            staging: None,
        }
    }

    /// The same directory, where blobs are published in groups, and by [`flush`](Self::flush).
    pub(super) fn for_batch(&self) -> Self {
        Self {
            staging: self.syncs().then(Staging::default),
            is_batch: true,
            disk: self.disk.clone(),
            recent: Arc::clone(&self.recent),
            writers: Arc::clone(&self.writers),
            durable: Arc::clone(&self.durable),
            ..Self::new(self.root.clone(), self.durability)
        }
    }

    /// Publishes all blobs of the batch that are not published yet, and makes them durable.
    pub(super) fn flush(&self) -> Result<()> {
        match &self.staging {
            Some(staging) => staging.publish(self),
            None => Ok(()),
        }
    }

    /// As [`flush`](Self::flush), if enough has been stored, or long enough ago.
    pub(super) async fn flush_if_due(self: &Arc<Self>) -> Result<()> {
        if !self.staging.as_ref().is_some_and(Staging::is_due) {
            return Ok(());
        }
        let place = Arc::clone(self);
        blocking::run(move || place.flush()).await
    }

    pub(super) fn staging(&self) -> Option<&Staging> {
        self.staging.as_ref()
    }

    pub(super) fn durable(&self) -> &Durable {
        &self.durable
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn recent(&self) -> &Recent {
        &self.recent
    }

    pub(super) fn writers(&self) -> &Writers {
        &self.writers
    }

    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Runs work that makes a blob of `size` bytes of a file.
    pub(super) async fn copy_blob<T: Send + 'static>(
        &self,
        size: u64,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let kind = if size > SMALL {
            Work::Bulk
        } else if self.syncs_at_once() {
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
        let kind = if self.syncs_at_once() {
            Work::Sync
        } else {
            Work::WriteSmall
        };
        self.disk.run(kind, work).await
    }

    /// Returns whether each blob is synced when it is stored.
    fn syncs_at_once(&self) -> bool {
        self.syncs() && self.staging.is_none()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Whether it is worth trying to clone files into the layout.
    pub(super) fn may_clone(&self) -> bool {
        !self.cannot_clone.load(Ordering::Relaxed)
    }

    /// Says that the layout's file system cannot clone files.
    pub(super) fn forget_clones(&self) {
        self.cannot_clone.store(true, Ordering::Relaxed);
    }

    /// Whether it is worth trying to link a file with this metadata into the layout.
    pub(super) fn may_link(&self, file: &Metadata) -> bool {
        let device = |metadata: &Metadata| identity(metadata).map(|(device, _)| device);
        let here = || {
            let blobs = self.file(BLOBS);
            // Where there is no layout yet, it will lie on the file system of what is above it.
            let found = blobs
                .ancestors()
                .find_map(|path| std::fs::metadata(path).ok());
            device(&found?)
        };
        !self.cannot_link.load(Ordering::Relaxed) && *self.device.get_or_init(here) == device(file)
    }

    /// Says that files cannot be linked into the layout.
    pub(super) fn forget_links(&self) {
        self.cannot_link.store(true, Ordering::Relaxed);
    }

    /// The file whose lock is the right to change the index. Its directory is created if need be,
    /// and nothing else: on a full disk that can be too much.
    pub(super) fn lock_file(&self) -> Result<PathBuf> {
        let private = self.root.join(PRIVATE);
        if !is_directory(&private)? {
            self.create_directory(&private)?;
        }
        Ok(self.private_file("lock"))
    }

    /// The path of a file of ours.
    pub(super) fn private_file(&self, name: &str) -> PathBuf {
        self.root.join(PRIVATE).join(name)
    }

    /// Returns whether no file is known whose sync has failed, as `look` tells. In a batch the answer is kept
    /// until a sync of the batch fails.
    pub(super) fn has_no_suspects(&self, look: impl FnOnce() -> bool) -> bool {
        if self.is_batch && self.has_seen(SEEN_NO_SUSPECTS) {
            return true;
        }
        let are_none = look();
        if are_none {
            self.saw(SEEN_NO_SUSPECTS);
        }
        are_none
    }

    /// Drops that answer.
    pub(super) fn has_suspects(&self) {
        self.seen.fetch_and(!SEEN_NO_SUSPECTS, Ordering::Relaxed);
    }

    fn has_seen(&self, bit: u32) -> bool {
        self.seen.load(Ordering::Relaxed) & bit != 0
    }

    fn saw(&self, bit: u32) {
        self.seen.fetch_or(bit, Ordering::Relaxed);
    }

    /// Returns what `look` finds at the path of the blob `digest`, in a batch also at its temporary one.
    pub(super) fn find_blob<T>(
        &self,
        digest: &Digest,
        look: impl Fn(PathBuf) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        // It may be published between the two looks, so they have this order.
        let staged = self.staging.as_ref();
        if let Some(path) = staged.and_then(|staging| staging.find(digest))
            && let Some(found) = look(path)?
        {
            return Ok(Some(found));
        }
        match self.blob(digest)? {
            Some(path) => look(path),
            None => Ok(None),
        }
    }

    /// The path of a blob, if the directories above it are directories; `None` if they are missing.
    ///
    /// # Errors
    /// `Corrupt` if one of them is something else.
    pub(super) fn blob(&self, digest: &Digest) -> Result<Option<PathBuf>> {
        let directory = self.directory_of(digest);
        let bit = seen_algorithm(digest);
        if !self.has_seen(bit) {
            if !is_directory(&self.root.join(BLOBS))? || !is_directory(&directory)? {
                return Ok(None);
            }
            self.saw(bit);
        }
        Ok(Some(directory.join(digest.hex())))
    }

    /// The path of a blob, whose directory is created if need be.
    pub(super) fn blob_to_write(&self, digest: &Digest) -> Result<PathBuf> {
        if !self.is_batch {
            // Whoever writes for long must find out that the directory was removed.
            self.seen.store(0, Ordering::Relaxed);
        }
        if let Some(path) = self.blob(digest)? {
            return Ok(path);
        }
        let directory = self.directory_of(digest);
        self.create_directory(&directory)?;
        Ok(directory.join(digest.hex()))
    }

    fn directory_of(&self, digest: &Digest) -> PathBuf {
        let mut path = self.root.join(BLOBS);
        path.push(digest.algorithm().as_str());
        path
    }

    /// Makes the directory a layout with a directory for the blob `digest`, where a batch will publish it. Looks at
    /// a layout that does not exist cost more than looks at one.
    pub(super) fn prepare(&self, digest: &Digest) -> Result<()> {
        self.ensure_layout()?;
        self.blob_to_write(digest).map(drop)
    }

    /// The directory of temporary files, created if need be.
    pub(super) fn temporary(&self) -> Result<PathBuf> {
        if self.is_batch && self.has_seen(SEEN_TEMPORARY) {
            return Ok(self.root.join(PRIVATE).join(TEMPORARY));
        }
        let directory = self.private(TEMPORARY)?;
        self.saw(SEEN_TEMPORARY);
        if let Some(staging) = &self.staging {
            staging.begin(&directory);
        }
        Ok(directory)
    }

    /// The directory of uploads, created if need be.
    pub(super) fn uploads(&self) -> Result<PathBuf> {
        self.private("uploads")
    }

    /// The directory of uploads, if there is one.
    pub(super) fn existing_uploads(&self) -> Result<Option<PathBuf>> {
        self.existing("uploads")
    }

    /// The directory of temporary files, if there is one.
    pub(super) fn existing_temporary(&self) -> Result<Option<PathBuf>> {
        self.existing("tmp")
    }

    fn existing(&self, name: &str) -> Result<Option<PathBuf>> {
        existing_below(&self.root, name)
    }

    /// A directory of ours, created if need be.
    pub(super) fn private(&self, name: &str) -> Result<PathBuf> {
        let private = self.root.join(PRIVATE);
        let directory = private.join(name);
        if !is_directory(&private)? || !is_directory(&directory)? {
            self.create_directory(&directory)?;
        }
        Ok(directory)
    }

    /// An empty file that is removed when it is dropped. `mode` is subject to the umask.
    pub(super) fn temporary_file(&self, mode: u32) -> Result<NamedTempFile> {
        let directory = self.temporary()?;
        with_mode(&mut Builder::new(), mode)
            .tempfile_in(&directory)
            .map_err(|error| failed("created", &directory, error))
    }

    /// Whether what is written is synced, now or later.
    pub(super) fn syncs(&self) -> bool {
        self.durability == Durability::Full
    }

    /// Makes the content of `file` durable, unless durability is relaxed.
    pub(super) fn sync_file(&self, file: &File, path: &Path) -> Result<()> {
        if !self.syncs() {
            return Ok(());
        }
        disk::sync_file(file, path).map_err(|error| failed("synced", path, error))
    }

    /// Makes the entries of `directory` durable, unless durability is relaxed. Concurrent callers share one
    /// sync.
    pub(super) fn sync_directory(&self, directory: &Path) -> Result<()> {
        if !self.syncs() {
            return Ok(());
        }
        let shared = {
            let mut syncs = self.syncs.lock().unwrap_or_else(PoisonError::into_inner);
            match syncs.get(directory) {
                Some(shared) => Arc::clone(shared),
                None => Arc::clone(syncs.entry(directory.to_owned()).or_default()),
            }
        };
        shared
            .sync(directory)
            .map_err(|error| failed("synced", directory, error))
    }

    /// Gives a complete, verified and durable temporary file the name of a blob, over whatever has it.
    pub(super) fn publish<F>(
        &self,
        file: NamedTempFile<F>,
        digest: &Digest,
        path: &Path,
    ) -> Result<()> {
        disk::persist(file, path).map_err(|error| not_named(path, error.error))?;
        self.published(digest, path)
    }

    /// Makes durable that the file of a blob has its name.
    pub(super) fn published(&self, digest: &Digest, path: &Path) -> Result<()> {
        if let (true, Some(directory)) = (self.syncs(), path.parent()) {
            self.secure_names(directory)?;
            self.durable.remember(digest, path);
        }
        Ok(())
    }

    /// Makes the directory a layout, if it is none. Everything is in place before the file that says
    /// so: a layout is never seen half made, not after a power cut either.
    pub(super) fn ensure_layout(&self) -> Result<()> {
        if self.is_batch && self.has_seen(SEEN_LAYOUT) {
            return Ok(());
        }
        if stat_regular(&self.file(OCI_LAYOUT))?.is_some() {
            self.saw(SEEN_LAYOUT);
            return Ok(());
        }
        let blobs = self.file(BLOBS);
        if !is_directory(&blobs)? {
            self.create_directory(&blobs)?;
        }
        let index = self.create_file(INDEX, crate::index::EMPTY_INDEX)?;
        self.sync_directory(&self.root)?;
        self.create_file(OCI_LAYOUT, marker::CONTENT)?;
        self.sync_directory(&self.root)?;
        self.secure_directory(&self.root)?;
        self.durable.remember_directory(&blobs);
        if let Some(Ok(created)) = index.map(|index| index.metadata()) {
            // It names nothing that would have to be durable.
            self.durable.remember_index(&Stamp::of(&created));
        }
        Ok(())
    }

    /// Writes `oci-layout`, over the file that is there.
    pub(super) fn write_marker(&self) -> Result<()> {
        let path = self.file(OCI_LAYOUT);
        let file = self.complete_file(marker::CONTENT)?;
        disk::persist(file, &path).map_err(|error| not_named(&path, error.error))?;
        self.sync_directory(&self.root)
    }

    /// Creates a file, or returns `None` if there is one.
    fn create_file(&self, name: &str, content: &[u8]) -> Result<Option<File>> {
        let path = self.file(name);
        if stat_regular(&path)?.is_some() {
            return Ok(None);
        }
        match disk::persist_noclobber(self.complete_file(content)?, &path) {
            Ok(created) => Ok(Some(created)),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(not_named(&path, error.error)),
        }
    }

    /// A temporary file with `content`, which is durable.
    pub(super) fn complete_file(&self, content: &[u8]) -> Result<NamedTempFile> {
        use std::io::Write as _;

        let mut file = self.temporary_file(0o666)?;
        file.write_all(content)
            .map_err(|error| failed("written", file.path(), error))?;
        self.sync_file(file.as_file(), file.path())?;
        Ok(file)
    }

    /// Creates a directory and those above it. [`secure_directory`](Self::secure_directory) makes their names
    /// durable.
    fn create_directory(&self, path: &Path) -> Result<()> {
        let mut missing = Vec::new();
        let mut next = Some(path);
        while let Some(directory) = next {
            // What is above the layout belongs to the user, who may link there.
            let exists = if directory.starts_with(&self.root) && directory != self.root {
                is_directory(directory)?
            } else {
                directory.is_dir()
            };
            if exists {
                break;
            }
            missing.push(directory);
            next = directory.parent();
        }
        for directory in missing.into_iter().rev() {
            match disk::create_directory(directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(failed("created", directory, error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Returns the directory of uploads of the layout at `root`, if there is one.
pub(super) fn uploads_below(root: &Path) -> Result<Option<PathBuf>> {
    existing_below(root, "uploads")
}

fn existing_below(root: &Path, name: &str) -> Result<Option<PathBuf>> {
    let private = root.join(PRIVATE);
    let directory = private.join(name);
    Ok((is_directory(&private)? && is_directory(&directory)?).then_some(directory))
}
