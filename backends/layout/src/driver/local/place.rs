//! Where the files of one layout lie, and how files come there.

use std::collections::{BTreeSet, HashMap};
use std::fs::{DirBuilder, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tempfile::{Builder, NamedTempFile};
use tranship::{Digest, Result};

use super::file::{failed, identity, is_directory, not_named, open_regular, stat_regular};
use super::pace::Pace;
use super::recent::Recent;
use super::sync::{SharedSync, sync_directory, sync_file_system};
use super::write::Writers;
use crate::blocking::{Lanes, blocking};
use crate::driver::{PRIVATE, marker};
use crate::options::Durability;

pub(in crate::driver) use crate::driver::{BLOBS, INDEX, OCI_LAYOUT};

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
    pace: Arc<Pace>,
    lanes: Arc<Lanes>,
    recent: Arc<Recent>,
    writers: Arc<Writers>,
    /// What is still to be synced, if that waits for the end of a batch.
    deferred: Option<Mutex<Deferred>>,
}

/// What a batch has stored and not synced.
#[derive(Debug, Default)]
struct Deferred {
    /// The first of the files.
    files: Vec<PathBuf>,
    /// Whether there are more, somewhere in the directories.
    are_many: bool,
    directories: BTreeSet<PathBuf>,
}

/// Up to this size, in bytes, content is handled in one go.
pub(super) const SMALL: u64 = 128 * 1024;

/// The bits of [`Place::seen`] that are not those of an algorithm's directory.
const SEEN_TEMPORARY: u32 = 1 << 30;
const SEEN_LAYOUT: u32 = 1 << 31;

/// The bit of [`Place::seen`] for the directory that the blob lies in.
fn seen_algorithm(digest: &Digest) -> u32 {
    1 << (digest.algorithm() as u32)
}

/// With more files than this, one sync of the whole file system is cheaper than one of each.
const MANY: usize = 16;

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
            pace: Arc::default(),
            lanes: Arc::default(),
            recent: Arc::default(),
            writers: Arc::default(),
            deferred: None,
        }
    }

    /// The same directory, where what is published need not be durable before [`flush`](Self::flush).
    pub(super) fn for_batch(&self) -> Self {
        let deferred = (self.durability == Durability::Full).then(Mutex::default);
        Self {
            deferred,
            is_batch: true,
            pace: Arc::clone(&self.pace),
            lanes: Arc::clone(&self.lanes),
            recent: Arc::clone(&self.recent),
            writers: Arc::clone(&self.writers),
            ..Self::new(self.root.clone(), self.durability)
        }
    }

    /// Makes durable what was published since the last time.
    pub(super) fn flush(&self) -> Result<()> {
        let Some(deferred) = &self.deferred else {
            return Ok(());
        };
        let Deferred {
            files,
            are_many,
            directories,
        } = std::mem::take(&mut *deferred.lock().unwrap_or_else(PoisonError::into_inner));
        if are_many && sync_file_system(&self.root) {
            return Ok(());
        }
        if !are_many {
            files.iter().try_for_each(|path| sync_file(path))?;
        }
        for directory in &directories {
            if are_many {
                sync_files_in(directory)?;
            }
            sync_directory(directory).map_err(|error| failed("synced", directory, error))?;
        }
        Ok(())
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

    pub(super) fn pace(&self) -> &Arc<Pace> {
        &self.pace
    }

    /// Runs work that makes `size` bytes of content, wherever they are, the blob `digest`. If they are many
    /// it has a blocking thread of its own; else it shares those that there are, and the calling one too
    /// as long as the file system is quick.
    pub(super) async fn take_over<T: Send + 'static>(
        &self,
        digest: &Digest,
        size: u64,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if size > SMALL {
            return blocking(work).await;
        }
        if self.may_sync(digest) {
            return self.lanes.run(work).await;
        }
        let work = self.timed(work);
        match self.pace.is_quick() {
            true => self.lanes.share(work).await,
            false => self.lanes.run(work).await,
        }
    }

    /// Runs work that writes the small blob `digest` and gives it its name: in place, if the file system is
    /// quick and nothing has to be on the disk in the end.
    pub(super) async fn write_small<T: Send + 'static>(
        &self,
        digest: &Digest,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.may_sync(digest) {
            return self.lanes.run(work).await;
        }
        let work = self.timed(work);
        match self.pace.is_quick() {
            // Two that make files in one directory would wait for each other more than they work.
            true => work(),
            false => self.lanes.run(work).await,
        }
    }

    /// The same work, which tells how quick the file system is. A sync would say nothing of that.
    fn timed<T, W: FnOnce() -> T>(&self, work: W) -> impl FnOnce() -> T + use<T, W> {
        let pace = Arc::clone(&self.pace);
        move || pace.time(work)
    }

    /// Whether the blob `digest` may come to be only with something on the disk.
    fn may_sync(&self, digest: &Digest) -> bool {
        // Directories are synced when they are created, whatever waits for the end of a batch.
        let is_ready = self.has_seen(SEEN_TEMPORARY)
            && self.has_seen(SEEN_LAYOUT)
            && self.has_seen(seen_algorithm(digest));
        self.syncs_at_once() || self.syncs() && !is_ready
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
        Ok(private.join("lock"))
    }

    fn has_seen(&self, bit: u32) -> bool {
        self.seen.load(Ordering::Relaxed) & bit != 0
    }

    fn saw(&self, bit: u32) {
        self.seen.fetch_or(bit, Ordering::Relaxed);
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

    /// The directory of temporary files, created if need be.
    pub(super) fn temporary(&self) -> Result<PathBuf> {
        if self.is_batch && self.has_seen(SEEN_TEMPORARY) {
            return Ok(self.root.join(PRIVATE).join(TEMPORARY));
        }
        let directory = self.private(TEMPORARY)?;
        self.saw(SEEN_TEMPORARY);
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

    fn private(&self, name: &str) -> Result<PathBuf> {
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

    /// Whether what is written is synced before it gets its name.
    fn syncs_at_once(&self) -> bool {
        self.syncs() && self.deferred.is_none()
    }

    /// Makes what was written to `file` durable, where that is asked for.
    pub(super) fn sync_file(&self, file: &File, path: &Path) -> Result<()> {
        if !self.syncs_at_once() {
            return Ok(());
        }
        file.sync_all()
            .map_err(|error| failed("synced", path, error))
    }

    /// Makes the entries of `directory` durable, where that is asked for.
    pub(super) fn sync_directory(&self, directory: &Path) -> Result<()> {
        if self.durability == Durability::Relaxed {
            return Ok(());
        }
        if let Some(deferred) = &self.deferred {
            let mut deferred = deferred.lock().unwrap_or_else(PoisonError::into_inner);
            if !deferred.directories.contains(directory) {
                deferred.directories.insert(directory.to_owned());
            }
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

    /// Gives a complete and verified temporary file its name, over whatever has it.
    pub(super) fn publish<F>(&self, file: NamedTempFile<F>, path: &Path) -> Result<()> {
        file.persist(path)
            .map_err(|error| not_named(path, error.error))?;
        self.published(path)
    }

    /// Makes durable that a file has its name, now or with the batch.
    pub(super) fn published(&self, path: &Path) -> Result<()> {
        if let Some(deferred) = &self.deferred {
            let mut deferred = deferred.lock().unwrap_or_else(PoisonError::into_inner);
            if deferred.files.len() < MANY {
                deferred.files.push(path.to_owned());
            } else {
                deferred.are_many = true;
            }
        }
        match path.parent() {
            Some(directory) => self.sync_directory(directory),
            None => Ok(()),
        }
    }

    /// Makes the directory a layout, if it is none. Everything is in place before the file that says
    /// so: a layout is never seen half made.
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
        self.create_file(INDEX, crate::index::EMPTY_INDEX)?;
        self.create_file(OCI_LAYOUT, marker::CONTENT)?;
        self.sync_directory(&self.root)
    }

    fn create_file(&self, name: &str, content: &[u8]) -> Result<()> {
        use std::io::Write as _;

        let path = self.file(name);
        if stat_regular(&path)?.is_some() {
            return Ok(());
        }
        let mut file = self.temporary_file(0o666)?;
        file.write_all(content)
            .map_err(|error| failed("written", file.path(), error))?;
        self.sync_file(file.as_file(), file.path())?;
        match file.persist_noclobber(&path) {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(not_named(&path, error.error)),
        }
    }

    /// Creates a directory and those above it.
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
            match DirBuilder::new().create(directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(failed("created", directory, error));
                }
                _ => {}
            }
            if let (Durability::Full, Some(parent)) = (self.durability, directory.parent()) {
                match sync_directory(parent) {
                    // Whoever may create an entry need not be allowed to open the directory.
                    Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
                        return Err(failed("synced", parent, error));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// Makes a file durable, if it is still there: if not, whoever relies on it will notice.
fn sync_file(path: &Path) -> Result<()> {
    let Some((file, _)) = open_regular(path)? else {
        return Ok(());
    };
    file.sync_all()
        .map_err(|error| failed("synced", path, error))
}

fn sync_files_in(directory: &Path) -> Result<()> {
    let listed = |error| failed("listed", directory, error);
    for entry in std::fs::read_dir(directory).map_err(listed)? {
        let entry = entry.map_err(listed)?;
        if entry.file_type().map_err(listed)?.is_file() {
            sync_file(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(unix)]
pub(in crate::driver) fn with_mode<'a, 'b, 'c>(
    builder: &'a mut Builder<'b, 'c>,
    mode: u32,
) -> &'a mut Builder<'b, 'c> {
    use std::os::unix::fs::PermissionsExt as _;
    builder.permissions(std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
pub(in crate::driver) fn with_mode<'a, 'b, 'c>(
    builder: &'a mut Builder<'b, 'c>,
    _: u32,
) -> &'a mut Builder<'b, 'c> {
    builder
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
