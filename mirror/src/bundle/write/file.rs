//! Volumes as files: `FILE.partial` until they are complete.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tranship::blocking::{self, Sequence};
use tranship::{Error, ErrorKind, Result};

use super::output::Output;

/// Returns the path of a volume: `bundle.002.tar` for `bundle.tar`. All numbers of a bundle have as many digits, so that
/// they sort.
pub(super) fn volume_path(path: &Path, number: u32, volumes: u32) -> PathBuf {
    let width = volumes.to_string().len().max(3);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}.{number:0width$}.{}", extension.to_string_lossy()),
        None => format!("{stem}.{number:0width$}"),
    };
    path.with_file_name(name)
}

/// Returns the file at `path`, if it is a regular file of `size` bytes.
pub(super) async fn finished(path: &Path, size: u64) -> Result<Option<Arc<File>>> {
    let path = path.to_owned();
    blocking::run(move || {
        // Opening a pipe would block.
        match std::fs::metadata(&path) {
            Ok(found) if found.is_dir() => {
                let error = Error::new(ErrorKind::InvalidInput, "is a directory, not a file");
                return Err(error.with_subject(path.display()));
            }
            Ok(found) if found.is_file() && found.len() == size => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("inspected", &path, error)),
        }
        let file = File::open(&path).map_err(|error| failed("opened", &path, error))?;
        Ok(Some(Arc::new(file)))
    })
    .await
}

/// A file that is being written under the name `FILE.partial`, and locked against other writers.
pub(super) struct PartialFile {
    path: PathBuf,
    partial: PathBuf,
    /// `None` when it was closed: there can be more volumes than a process may open.
    file: Option<Arc<File>>,
    existing: u64,
    writing: Option<Sequence<Arc<File>>>,
}

impl PartialFile {
    /// Opens what exists of the volume `path`, or creates it.
    ///
    /// # Errors
    /// `Conflict` if another process writes it.
    pub(super) async fn open(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        blocking::run(move || Self::open_now(path)).await
    }

    fn open_now(path: PathBuf) -> Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let partial = path.with_file_name(name);
        // Opening a pipe would block, and a link may lead anywhere.
        match std::fs::symlink_metadata(&partial) {
            Ok(found) if !found.is_file() => {
                let error = Error::new(ErrorKind::InvalidInput, "is not a regular file");
                return Err(error.with_subject(partial.display()));
            }
            _ => {}
        }
        let file = open_locked(&partial)?;
        let length = file
            .metadata()
            .map_err(|error| failed("inspected", &partial, error))?;
        let length = length.len();
        let mut cursor = &file;
        cursor
            .seek(SeekFrom::End(0))
            .map_err(|error| failed("read", &partial, error))?;
        Ok(Self {
            path,
            partial,
            file: Some(Arc::new(file)),
            existing: length,
            writing: None,
        })
    }

    /// Waits until everything is written.
    async fn settle(&mut self) -> Result<()> {
        match self.writing.take() {
            Some(writing) => writing.finish().await.map(drop),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Output for PartialFile {
    fn existing(&self) -> Option<(Arc<File>, u64)> {
        let file = self.file.clone().filter(|_| self.existing > 0)?;
        Some((file, self.existing))
    }

    async fn truncate(&mut self, length: u64) -> Result<()> {
        self.settle().await?;
        let (file, partial) = (self.file.clone(), self.partial.clone());
        blocking::run(move || {
            let file = match file {
                Some(file) => file,
                None => Arc::new(open(&partial)?),
            };
            let cut = file
                .set_len(length)
                .and_then(|()| (&*file).seek(SeekFrom::Start(length)));
            cut.map(drop)
                .map_err(|error| failed("truncated", &partial, error))
        })
        .await
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let partial = self.partial.clone();
        let writing = match (&mut self.writing, &self.file) {
            (Some(writing), _) => writing,
            (None, Some(file)) => self.writing.insert(Sequence::new(Arc::clone(file))),
            (None, None) => return Err(Error::new(ErrorKind::Io, "the volume is complete")),
        };
        let write = move |file: Arc<File>| {
            let written = (&*file).write_all(&bytes);
            written.map_err(|error| failed("written", &partial, error))?;
            Ok(file)
        };
        writing.then(write).await
    }

    async fn complete(&mut self, stays_open: bool) -> Result<()> {
        self.settle().await?;
        let Some(file) = self.file.clone() else {
            return Ok(());
        };
        if !stays_open {
            self.file = None;
        }
        let partial = self.partial.clone();
        blocking::run(move || {
            file.sync_all()
                .map_err(|error| failed("synced", &partial, error))
        })
        .await
    }

    async fn publish(self: Box<Self>) -> Result<()> {
        blocking::run(move || {
            let renamed = std::fs::rename(&self.partial, &self.path);
            renamed.map_err(|error| failed("renamed", &self.partial, error))?;
            sync_directory(&self.path)
        })
        .await
    }
}

fn open(partial: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let opened = options.open(partial);
    opened.map_err(|error| failed("created", partial, error))
}

/// Opens or creates the file, and locks it.
fn open_locked(partial: &Path) -> Result<File> {
    const ATTEMPTS: usize = 32;
    for _ in 0..ATTEMPTS {
        let file = open(partial)?;
        lock(&file, partial)?;
        // Another writer may have finished the file, and given it its name, before it was locked.
        if is_same_file(&file, partial) {
            return Ok(file);
        }
    }
    let error = Error::new(ErrorKind::Conflict, "is replaced again and again");
    Err(error.with_subject(partial.display()))
}

/// Locks the file against other writers.
fn lock(file: &File, partial: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let error = Error::new(ErrorKind::Conflict, "another process writes this file");
            Err(error.with_subject(partial.display()))
        }
        // Some file systems do not have locks.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(error)) => Err(failed("locked", partial, error)),
    }
}

#[cfg(unix)]
fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// A file that is open cannot be renamed on other systems.
#[cfg(not(unix))]
fn is_same_file(_: &File, _: &Path) -> bool {
    true
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> Result<()> {
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    match synced {
        // A process may be allowed to use a directory and not to open it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        outcome => outcome.map_err(|error| failed("synced", directory, error)),
    }
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> Result<()> {
    Ok(())
}

fn failed(done: &str, path: &Path, error: io::Error) -> Error {
    Error::io(format!("cannot be {done}"), error).with_subject(path.display())
}
