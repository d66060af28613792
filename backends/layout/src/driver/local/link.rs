//! Stores a blob from another file of this machine: cloned or linked where the file system can, else copied.
//!
//! In every case the bytes that the layout then has are hashed before they get their name.

use std::fs::{File, Metadata};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use tempfile::{Builder, NamedTempFile, TempPath};
use tranship::blocking::{CancelFlag, CancelOnDrop};
use tranship::{Descriptor, LocalFile, Result, Verifier};

use super::commit::{BLOB_MODE, StagedKind, Staging};
use super::copy::{Copy, CopyError};
use super::directory::{LocalDirectory, SMALL};
use super::suspects::name_of;
use crate::driver::disk;
use crate::driver::file::{failed, identity, not_named, read_pieces, stat_regular};

/// How far the content of the other file can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Not at all: it is hashed.
    Nothing,
    /// It is a blob of the same registry, which was hashed when it was stored there.
    Verified,
}

/// Stores the content of `origin` as the blob `expected`. Returns `false` if it is not available as a file, so that
/// its bytes must be read as a stream, which also tells what is wrong with it.
pub(super) async fn take_over(
    directory: &Arc<LocalDirectory>,
    expected: &Descriptor,
    origin: &LocalFile,
    trust: Trust,
) -> Result<bool> {
    let size = expected.size();
    let (shared, expected, origin) = (Arc::clone(directory), expected.clone(), origin.clone());
    let waiting = CancelOnDrop::default();
    let flag = waiting.flag();
    let work = move || {
        let metadata = match (origin.file().metadata(), origin.size()) {
            (Ok(metadata), Ok(size)) if metadata.is_file() && size == expected.size() => metadata,
            _ => return Ok(false),
        };
        let work = Work {
            directory: &shared,
            expected: &expected,
            origin: &origin,
            cancelled: &flag,
            trust,
        };
        if metadata.len() == expected.size() {
            return work.take_over(&metadata).map(|()| true);
        }
        // A small part is no more than one piece of the stream.
        if expected.size() <= SMALL {
            return Ok(false);
        }
        shared.commit.store(work.copy()?, &expected).map(|()| true)
    };
    let is_taken = directory.copy_blob(size, work).await?;
    directory.flush_if_due().await?;
    Ok(is_taken)
}

struct Work<'a> {
    directory: &'a LocalDirectory,
    expected: &'a Descriptor,
    origin: &'a LocalFile,
    cancelled: &'a CancelFlag,
    trust: Trust,
}

impl Work<'_> {
    /// Stores the whole file.
    fn take_over(&self, metadata: &Metadata) -> Result<()> {
        if let Some(file) = self.clone()? {
            self.verify(file.as_file(), file.path())?;
            return self.directory.commit.store(file, self.expected);
        }
        let may_link = self.origin.is_immutable()
            && self
                .directory
                .imports
                .may_link(&self.directory.paths, metadata);
        if may_link && self.link()? {
            return Ok(());
        }
        self.directory.commit.store(self.copy()?, self.expected)
    }

    fn source(&self) -> &Arc<File> {
        self.origin.file()
    }

    /// The path of the source, for errors.
    fn path(&self) -> &Path {
        self.origin.path().unwrap_or(Path::new("a local file"))
    }

    /// Returns a file that shares the content of the source until one of them is written; `None` if the file system
    /// has no such files.
    fn clone(&self) -> Result<Option<NamedTempFile>> {
        if !self.directory.imports.may_clone() {
            return Ok(None);
        }
        let file = self.directory.commit.temporary_file(BLOB_MODE)?;
        match clone(self.source(), file.as_file()) {
            Ok(()) => Ok(Some(file)),
            Err(error) => {
                if error.kind() == io::ErrorKind::Unsupported {
                    self.directory.imports.forget_clones();
                }
                Ok(None)
            }
        }
    }

    /// Gives the file a second name, that of the blob, now or with the batch. Returns `false` if the file
    /// cannot have one here: it is on another file system, belongs to another user, has too many names, or
    /// cannot be made durable.
    fn link(&self) -> Result<bool> {
        if self.directory.paths.is_suspect_link(self.expected.digest()) {
            return Ok(false);
        }
        self.verify(self.source(), self.path())?;
        match self.directory.commit.staging() {
            Some(staging) => self.link_staged(staging),
            None => self.link_now(),
        }
    }

    fn link_staged(&self, staging: &Staging) -> Result<bool> {
        let Some(linked) = self.link_aside()? else {
            self.directory.imports.forget_links();
            return Ok(false);
        };
        let digest = self.expected.digest();
        self.directory.commit.prepare(digest)?;
        let file = (linked, Arc::clone(self.source()));
        // A copy that is killed has nothing of it to transfer again, whatever its size.
        staging.add(digest, file, StagedKind::Link, 0)?;
        Ok(true)
    }

    fn link_now(&self) -> Result<bool> {
        let source = self.source();
        self.directory.commit.ensure_layout()?;
        let digest = self.expected.digest();
        let path = self.directory.paths.blob_to_write(digest)?;
        if self.directory.commit.sync_file(source, &path).is_err() {
            self.directory.paths.suspect(&name_of(digest));
            return Ok(false);
        }
        if disk::naming(&path, || link_opened(source, &path)).is_ok() {
            self.directory.commit.published(digest, &path)?;
            return Ok(true);
        }
        // Such links cannot be made here, or a file of the wrong size is in the way and is replaced.
        match self.link_aside()? {
            Some(linked) => {
                let named = disk::persist_link(linked, &path);
                named.map_err(|error| not_named(&path, error.error))?;
                self.directory.commit.published(digest, &path)?;
                Ok(true)
            }
            None => {
                self.directory.imports.forget_links();
                Ok(false)
            }
        }
    }

    /// Returns a second name for the file among the temporary ones.
    fn link_aside(&self) -> Result<Option<TempPath>> {
        let source = self.source();
        let directory = self.directory.commit.temporary()?;
        let linked = Builder::new().make_in(&directory, |new| link_opened(source, new));
        if let Ok(linked) = linked {
            return Ok(Some(linked.into_temp_path()));
        }
        let Some(path) = self.origin.path() else {
            return Ok(None);
        };
        let linked = Builder::new().make_in(&directory, |new| std::fs::hard_link(path, new));
        let Ok(linked) = linked else {
            return Ok(None);
        };
        // What was linked by its path may not be what was opened.
        let Some(metadata) = stat_regular(linked.path())? else {
            return Ok(None);
        };
        let same = source
            .metadata()
            .is_ok_and(|opened| identity(&opened) == identity(&metadata));
        Ok(same.then(|| linked.into_temp_path()))
    }

    fn verify(&self, file: &File, path: &Path) -> Result<()> {
        if self.trust == Trust::Verified {
            return Ok(());
        }
        let mut verifier = Verifier::new(self.expected);
        self.read(file, path, |bytes| verifier.update(bytes))?;
        verifier.finish()
    }

    fn copy(&self) -> Result<NamedTempFile> {
        let (source, path) = (self.source(), self.path());
        let mut file = self.directory.commit.temporary_file(BLOB_MODE)?;
        let mut verifier = Verifier::new(self.expected);
        if self.expected.size() <= SMALL {
            let to = file.path().to_owned();
            self.read(source, path, |bytes| {
                verifier.update(bytes)?;
                let written = file.as_file_mut().write_all(bytes);
                written.map_err(|error| failed("written", &to, error))
            })?;
        } else {
            let copy = Copy {
                source,
                start: self.origin.range().start,
                length: self.expected.size(),
                to: file.as_file(),
                is_synced: self.directory.commit.syncs(),
            };
            copy.run(|bytes| {
                self.cancelled.check()?;
                verifier.update(bytes)?;
                self.origin.observe(bytes.len() as u64);
                Ok(())
            })
            .map_err(|failure| match failure {
                CopyError::Source(error) => failed("read", path, error),
                CopyError::Destination(error) => failed("written", file.path(), error),
                CopyError::Other(error) => error,
            })?;
        }
        verifier.finish()?;
        Ok(file)
    }

    fn read(
        &self,
        file: &File,
        path: &Path,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        read_pieces(file, path, self.expected.size(), |bytes| {
            self.cancelled.check()?;
            take(bytes)?;
            self.origin.observe(bytes.len() as u64);
            Ok(())
        })
    }
}

/// Gives the very file that is open another name, if nothing has that name.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn link_opened(file: &File, path: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{AtFlags, CWD, linkat};

    let opened = || format!("/proc/self/fd/{}", file.as_raw_fd());
    // Some systems allow this to everybody, and it is quicker.
    linkat(file, "", CWD, path, AtFlags::EMPTY_PATH)
        .or_else(|_| linkat(CWD, opened(), CWD, path, AtFlags::SYMLINK_FOLLOW))
        .map_err(io::Error::from)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn link_opened(_: &File, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Makes the empty file `to` share the content of `from`.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn clone(from: &File, to: &File) -> io::Result<()> {
    rustix::fs::ioctl_ficlone(to, from).map_err(io::Error::from)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn clone(_: &File, _: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
