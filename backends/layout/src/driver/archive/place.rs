//! The path of an archive: what lies there now, and how something new comes there.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::{Builder, NamedTempFile};
use tokio::sync::Semaphore;
use tranship::{Capabilities, Error, ErrorKind, Result, Support, blocking};

use super::contents::Contents;
use super::opened::{Opened, stat};
use super::position::read_pieces;
use crate::driver::disk;
use crate::driver::file::{failed, identity, with_mode};
use crate::driver::names::{sync_names, sync_names_above};
use crate::driver::position::write_all_at;
use crate::driver::stamp::Stamp;
use crate::options::{Durability, LayoutOptions};

/// How often the archive may be replaced while we prepare to replace it.
const MAX_ATTEMPTS: u32 = 32;

const NO_UPLOADS: &str = "an archive is written in one go, and holds nothing that is half there";
const COMPRESSED: &str = "a compressed archive is only read";

/// How the members of an archive are read.
pub(super) type Reader = Box<dyn Fn(Opened) -> Result<Contents> + Send + Sync>;

pub(super) struct Place {
    path: PathBuf,
    durability: Durability,
    /// In bytes.
    max_unpacked: u64,
    reader: Reader,
    current: Mutex<Option<Arc<Contents>>>,
    /// The state in which the archive is known to be durable, with its name.
    durable: Mutex<Option<Stamp>>,
    is_compressed: AtomicBool,
    /// Who changes the archive through this process.
    changing: Arc<Semaphore>,
}

impl Place {
    /// `path` is absolute. Nothing looks at the disk.
    pub(super) fn new(path: PathBuf, options: &LayoutOptions, reader: Reader) -> Self {
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

    /// Whether the archive was compressed when it was looked at last.
    fn is_compressed(&self) -> bool {
        self.is_compressed.load(Ordering::Relaxed)
    }

    /// What any archive can do.
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

    /// Refuses before anything is read what the archive could not take.
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

    /// Does on a blocking thread what changes the archive, one change of this process at a time.
    pub(super) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.changing).acquire_owned().await;
        let permit = permit.map_err(|error| {
            Error::new(ErrorKind::Io, "the archive was closed").with_source(error)
        })?;
        let place = Arc::clone(self);
        blocking::run(move || {
            let _permit = permit;
            work(&place)
        })
        .await
    }

    /// The archive as it is now; `None` if there is none.
    pub(super) fn current(&self) -> Result<Option<Arc<Contents>>> {
        let known = self.lock_current().clone();
        let found = stat(&self.path)?;
        if let (Some(known), Some(found)) = (&known, &found)
            && known.opened.stamp == Stamp::of(found)
        {
            return Ok(Some(Arc::clone(known)));
        }
        let opened = match found {
            Some(_) => Opened::open(&self.path, self.max_unpacked)?,
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

    /// Calls `attempt` with what is there, under the lock of it, until it has replaced that.
    /// `attempt` answers `None` if somebody was faster.
    pub(super) fn replacing<T>(
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
            "another program, which takes no lock, replaces the archive all the time",
        )
        .with_subject(self.path.display())
        .with_retryable(true))
    }

    /// The right to replace the archive that is there. The system takes it back from a process that
    /// dies. While there is none, whoever puts one there first wins.
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

    /// An empty file beside the archive. It is removed when it is dropped.
    pub(super) fn temporary(&self) -> Result<NamedTempFile> {
        let directory = self.path.parent().unwrap_or(&self.path);
        disk::naming(directory, || std::fs::create_dir_all(directory))
            .map_err(|error| failed("created", directory, error))?;
        let prefix = self.temporary_prefix();
        let file = with_mode(Builder::new().prefix(&prefix).suffix(".tmp"), 0o666)
            .tempfile_in(directory)
            .map_err(|error| failed("created", directory, error))?;
        // Says that somebody is at work: who collects garbage looks for that.
        file.as_file()
            .lock()
            .map_err(|error| failed("locked", file.path(), error))?;
        Ok(file)
    }

    /// What the names of the archive's temporary files begin with.
    pub(super) fn temporary_prefix(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        format!(".{name}.tranship-")
    }

    pub(super) fn syncs(&self) -> bool {
        self.durability == Durability::Full
    }

    fn lock_durable(&self) -> MutexGuard<'_, Option<Stamp>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the current archive durable, whoever wrote it, unless durability is relaxed.
    pub(super) async fn secure_all(self: &Arc<Self>) -> Result<()> {
        if !self.syncs() {
            return Ok(());
        }
        let place = Arc::clone(self);
        blocking::run(move || place.secure()).await
    }

    fn secure(&self) -> Result<()> {
        let found = stat(&self.path)?.map(|found| Stamp::of(&found));
        if found.is_none() || *self.lock_durable() == found {
            return Ok(());
        }
        let file = File::open(&self.path).map_err(|error| failed("opened", &self.path, error))?;
        if let Err(error) = disk::sync_file(&file, &self.path) {
            // A second sync of the same file would say nothing of what was lost.
            let rewritten = self.replacing(|current| self.rewrite(current.as_deref()));
            return rewritten.map_err(|_| failed("synced", &self.path, error));
        }
        self.secure_name()?;
        *self.lock_durable() = found;
        Ok(())
    }

    /// Makes durable that the archive has its path.
    fn secure_name(&self) -> Result<()> {
        let is_above_durable = self.lock_durable().is_some();
        match self.path.parent() {
            Some(directory) if is_above_durable => sync_names(directory),
            _ => sync_names_above(&self.path),
        }
    }

    /// Replaces the archive by one of the same content; `None` if it was replaced by another one.
    fn rewrite(&self, current: Option<&Contents>) -> Result<Option<()>> {
        let Some(current) = current else {
            return Ok(Some(()));
        };
        let new = self.temporary()?;
        let mut at = 0;
        read_pieces(
            &current.opened.file,
            &(0..current.opened.metadata.len()),
            |piece| {
                write_all_at(new.as_file(), piece, at)?;
                at += piece.len() as u64;
                Ok::<_, io::Error>(())
            },
        )
        .map_err(|error| failed("copied", &self.path, error))?;
        Ok(match self.replace(new, Some(current))? {
            Replaced::Yes(_) => Some(()),
            Replaced::No(_) => None,
        })
    }

    /// Gives a complete file the archive's path, unless something else lies there than `current`.
    pub(super) fn replace(
        &self,
        file: NamedTempFile,
        current: Option<&Contents>,
    ) -> Result<Replaced> {
        if let Some(current) = current {
            let permissions = current.opened.metadata.permissions();
            file.as_file()
                .set_permissions(permissions)
                .map_err(|error| failed("written", file.path(), error))?;
        }
        if self.syncs() {
            disk::sync_file(file.as_file(), file.path())
                .map_err(|error| failed("synced", file.path(), error))?;
        }
        let found = stat(&self.path)?.map(|found| Stamp::of(&found));
        if found.as_ref() != current.map(|current| &current.opened.stamp) {
            return Ok(Replaced::No(file));
        }
        let persisted = match current {
            Some(_) => disk::persist(file, &self.path),
            None => disk::persist_noclobber(file, &self.path),
        };
        let file = match persisted {
            Ok(file) => file,
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                return Ok(Replaced::No(error.file));
            }
            Err(error) => return Err(failed("replaced", &self.path, error.error)),
        };
        // As long as the new file is locked, nobody who takes the lock replaces it.
        let new = self.current();
        // Others may still read it through this handle, and who changes it next waits for the lock.
        file.unlock()
            .map_err(|error| failed("unlocked", &self.path, error))?;
        let ours = file
            .metadata()
            .map_err(|error| failed("inspected", &self.path, error))?;
        let ours = Stamp::of(&ours);
        if self.syncs() {
            self.secure_name()?;
            *self.lock_durable() = Some(ours.clone());
        }
        let is_ours = |new: &Arc<Contents>| new.opened.stamp == ours;
        Ok(Replaced::Yes(new?.filter(is_ours)))
    }
}

/// That an upload was to be begun or resumed.
pub(super) fn no_uploads() -> Error {
    Error::unsupported(NO_UPLOADS).with_hint("push the blob instead")
}

/// What became of an attempt to replace an archive.
pub(super) enum Replaced {
    /// The new file lies there. Without its contents if somebody who takes no lock was there since.
    Yes(Option<Arc<Contents>>),
    /// Something else lies there than before; the new file is given back.
    No(NamedTempFile),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
