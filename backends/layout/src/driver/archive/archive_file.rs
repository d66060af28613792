//! The file of an archive: its current contents, and the locks of its writers.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::{Builder, NamedTempFile};
use tokio::sync::Semaphore;
use tranship::{Capabilities, Error, ErrorKind, Result, Support, blocking};

use super::contents::Contents;
use super::opened::{OpenedArchive, stat};
use crate::driver::disk;
use crate::driver::file::{failed, identity, with_mode};
use crate::driver::stamp::Stamp;
use crate::options::{Durability, LayoutOptions};

/// How many attempts to replace the archive may fail because another program replaces it.
const MAX_ATTEMPTS: u32 = 32;

const NO_UPLOADS: &str = "an archive is written as a whole, and cannot contain unfinished uploads";
const COMPRESSED: &str = "a compressed archive is read-only";

/// Reads the contents of an archive.
pub(super) type ContentsReader = Box<dyn Fn(OpenedArchive) -> Result<Contents> + Send + Sync>;

/// The file of an archive, whether it exists or not.
pub(super) struct ArchiveFile {
    path: PathBuf,
    durability: Durability,
    /// The size limit of a decompressed archive, in bytes.
    max_unpacked: u64,
    reader: ContentsReader,
    current: Mutex<Option<Arc<Contents>>>,
    /// The state of the file that is known to be durable, with its name.
    durable: Mutex<Option<Stamp>>,
    is_compressed: AtomicBool,
    /// One permit: only one task of this process changes the archive at a time.
    changing: Arc<Semaphore>,
}

impl ArchiveFile {
    /// `path` is absolute. Nothing looks at the disk.
    pub(super) fn new(path: PathBuf, options: &LayoutOptions, reader: ContentsReader) -> Self {
        Self {
            path,
            durability: options.durability,
            max_unpacked: options.max_unpacked_size,
            reader,
            current: Mutex::default(),
            durable: Mutex::default(),
            is_compressed: AtomicBool::new(false),
            changing: Arc::new(Semaphore::new(1)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the archive was compressed when it was last opened.
    fn is_compressed(&self) -> bool {
        self.is_compressed.load(Ordering::Relaxed)
    }

    /// Returns what any archive can do.
    pub(super) fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::all().with_uploads(Support::No(NO_UPLOADS));
        if !self.is_compressed() {
            return capabilities;
        }
        let no = Support::No(COMPRESSED);
        capabilities
            .with_push(no)
            .with_delete_blobs(no)
            .with_delete_manifests(no)
            .with_untag(no)
    }

    /// Checks that the archive can be written to, before content is read.
    ///
    /// # Errors
    /// `Unsupported` if it is compressed.
    pub(super) fn check_writable(&self) -> Result<()> {
        if self.is_compressed() {
            return Err(self.read_only());
        }
        Ok(())
    }

    fn read_only(&self) -> Error {
        Error::unsupported(COMPRESSED)
            .with_subject(self.path.display())
            .with_hint("decompress it first, or copy to a new archive")
    }

    /// Runs work that changes the archive on a blocking thread, one at a time in this process.
    pub(super) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.changing).acquire_owned().await;
        let permit = permit.map_err(|error| {
            Error::new(ErrorKind::Io, "the archive was closed").with_source(error)
        })?;
        let archive = Arc::clone(self);
        blocking::run(move || {
            let _permit = permit;
            work(&archive)
        })
        .await
    }

    /// Returns the current contents; `None` if the archive does not exist.
    pub(super) fn current(&self) -> Result<Option<Arc<Contents>>> {
        let known = self.lock_current().clone();
        let found = stat(&self.path)?;
        if let (Some(known), Some(found)) = (&known, &found)
            && known.opened.stamp == Stamp::of(found)
        {
            return Ok(Some(Arc::clone(known)));
        }
        let opened = match found {
            Some(_) => OpenedArchive::open(&self.path, self.max_unpacked)?,
            None => None,
        };
        let Some(opened) = opened else {
            *self.lock_current() = None;
            return Ok(None);
        };
        let is_compressed = opened.compression.is_some();
        self.is_compressed.store(is_compressed, Ordering::Relaxed);
        let contents = Arc::new((self.reader)(opened)?);
        *self.lock_current() = Some(Arc::clone(&contents));
        Ok(Some(contents))
    }

    fn lock_current(&self) -> MutexGuard<'_, Option<Arc<Contents>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `attempt` with the current contents, while their file is locked, until it has replaced them. `attempt`
    /// returns `None` if another program has replaced them first.
    pub(super) fn retry_under_lock<T>(
        &self,
        mut attempt: impl FnMut(Option<Arc<Contents>>) -> Result<Option<T>>,
    ) -> Result<T> {
        for _ in 0..MAX_ATTEMPTS {
            let _lock = self.lock()?;
            let current = self.current()?;
            if let Some(current) = &current
                && current.opened.compression.is_some()
            {
                return Err(self.read_only());
            }
            if let Some(done) = attempt(current)? {
                return Ok(done);
            }
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "another program, which does not lock the archive, replaces it again and again",
        )
        .with_subject(self.path.display())
        .with_retryable(true))
    }

    /// Locks the archive, which its writers do before they replace it. The system removes the lock of a process that
    /// dies. An archive that does not exist has no lock: the first writer that creates it succeeds.
    fn lock(&self) -> Result<Option<File>> {
        loop {
            let file = match stat(&self.path)?.map(|_| File::open(&self.path)) {
                Some(Ok(file)) => file,
                None => return Ok(None),
                Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Some(Err(error)) => return Err(failed("opened", &self.path, error)),
            };
            file.lock().map_err(|error| match error.kind() {
                io::ErrorKind::Unsupported => {
                    Error::unsupported("the file system cannot lock files")
                        .with_subject(self.path.display())
                        .with_source(error)
                }
                _ => failed("locked", &self.path, error),
            })?;
            let locked = file
                .metadata()
                .map_err(|error| failed("inspected", &self.path, error))?;
            // It may have been replaced while we waited.
            match stat(&self.path)? {
                Some(found) if identity(&found) == identity(&locked) => return Ok(Some(file)),
                _ => {}
            }
        }
    }

    /// Creates an empty file beside the archive, which is removed when it is dropped.
    pub(super) fn temporary(&self) -> Result<NamedTempFile> {
        let directory = self.path.parent().unwrap_or(&self.path);
        disk::naming(directory, || std::fs::create_dir_all(directory))
            .map_err(|error| failed("created", directory, error))?;
        let prefix = self.temporary_prefix();
        let file = with_mode(Builder::new().prefix(&prefix).suffix(".tmp"), 0o666)
            .tempfile_in(directory)
            .map_err(|error| failed("created", directory, error))?;
        // Garbage collection does not remove a file that is locked.
        file.as_file()
            .lock()
            .map_err(|error| failed("locked", file.path(), error))?;
        Ok(file)
    }

    /// Returns the prefix of the names of the archive's temporary files.
    pub(super) fn temporary_prefix(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        format!(".{name}.tranship-")
    }

    /// Returns whether the archive has to be made durable.
    pub(super) fn syncs(&self) -> bool {
        self.durability == Durability::Full
    }

    pub(super) fn lock_durable(&self) -> MutexGuard<'_, Option<Stamp>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the error for an upload that is to be started or resumed.
pub(super) fn no_uploads() -> Error {
    Error::unsupported(NO_UPLOADS).with_hint("push the blob instead")
}

impl std::fmt::Debug for ArchiveFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArchiveFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
