//! Takes a blob over from another file of this machine: cloned or linked where the file system can.
//!
//! Whatever the way, the bytes that end up in the layout are hashed before they get their name.

use std::fs::{File, Metadata};
use std::io::{self, Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::{Builder, NamedTempFile, TempPath};
use tranship::{Descriptor, Error, ErrorKind, LocalFile, Result, Verifier};

use super::copy::{Copy, Failure};
use super::file::{failed, identity, not_named, open_regular, read_pieces, stat_regular};
use super::place::{Place, SMALL};
use super::staging::{StagedKind, Staging};
use super::suspects::name_of;
use super::write::{BLOB_MODE, publish};
use crate::driver::disk;

/// How far what is taken over can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Not at all: it is hashed.
    Nothing,
    /// It is a blob of the same registry, which was hashed when it came there.
    Verified,
}

/// Stores the file `origin` as the blob `expected`; `false` if it cannot be had as a file, so that
/// its bytes must come as a stream.
pub(super) async fn take_over(
    place: &Arc<Place>,
    expected: &Descriptor,
    origin: &LocalFile,
    trust: Trust,
) -> Result<bool> {
    let size = expected.size();
    let (shared, expected, origin) = (Arc::clone(place), expected.clone(), origin.clone());
    let stop = StopOnDrop::default();
    let stopped = stop.flag();
    let work = move || {
        let opened = origin.opened();
        // A small part takes no more than one piece of the stream.
        if opened.is_some() && expected.size() <= SMALL {
            return Ok(false);
        }
        let work = Work {
            place: &shared,
            expected: &expected,
            origin: &origin,
            stopped: &stopped,
            trust,
        };
        if let Some((source, range)) = opened {
            let file = work.copy(source, range.start)?;
            return publish(&shared, file, &expected).map(|()| true);
        }
        let Some((source, metadata)) = open_origin(&origin, &expected) else {
            return Ok(false);
        };
        work.take_over(&source, &metadata).map(|()| true)
    };
    let is_taken = place.take_over(size, work).await?;
    place.flush_if_due().await?;
    Ok(is_taken)
}

/// The origin, if it is a file of the expected size. Otherwise reading it as a stream tells what is
/// wrong.
fn open_origin(origin: &LocalFile, expected: &Descriptor) -> Option<(Arc<File>, Metadata)> {
    let (file, metadata) = if let Some(file) = origin.whole() {
        (Arc::clone(file), file.metadata().ok()?)
    } else if origin.is_immutable() {
        let (file, metadata) = open_regular(origin.path()).ok()??;
        (Arc::new(file), metadata)
    } else {
        // The path of a file that is not a blob is the user's, who may link to it.
        let metadata = std::fs::metadata(origin.path()).ok()?;
        if !metadata.is_file() {
            return None;
        }
        let file = File::open(origin.path()).ok()?;
        let metadata = file.metadata().ok()?;
        (Arc::new(file), metadata)
    };
    (metadata.is_file() && metadata.len() == expected.size()).then_some((file, metadata))
}

struct Work<'a> {
    place: &'a Place,
    expected: &'a Descriptor,
    origin: &'a LocalFile,
    stopped: &'a AtomicBool,
    trust: Trust,
}

impl Work<'_> {
    fn take_over(&self, source: &Arc<File>, metadata: &Metadata) -> Result<()> {
        if let Some(file) = self.clone(source)? {
            self.verify(file.as_file(), file.path())?;
            return publish(self.place, file, self.expected);
        }
        let may_link = self.origin.is_immutable() && self.place.may_link(metadata);
        if may_link && self.link(source)? {
            return Ok(());
        }
        let file = self.copy(source, 0)?;
        publish(self.place, file, self.expected)
    }

    /// A file that shares the content of `source` until one of them is written; `None` if the file
    /// system has no such thing.
    fn clone(&self, source: &File) -> Result<Option<NamedTempFile>> {
        if !self.place.may_clone() {
            return Ok(None);
        }
        let file = self.place.temporary_file(BLOB_MODE)?;
        match clone(source, file.as_file()) {
            Ok(()) => Ok(Some(file)),
            Err(error) => {
                if error.kind() == io::ErrorKind::Unsupported {
                    self.place.forget_clones();
                }
                Ok(None)
            }
        }
    }

    /// Gives the file a second name, that of the blob, now or with the batch. Returns `false` if the file
    /// cannot have one here: it is on another file system, belongs to another user, has too many names, or
    /// cannot be made durable.
    fn link(&self, source: &Arc<File>) -> Result<bool> {
        if self.place.is_suspect_link(self.expected.digest()) {
            return Ok(false);
        }
        self.verify(source, self.origin.path())?;
        let is_linked = match self.place.staging() {
            Some(staging) => self.link_staged(staging, source)?,
            None => self.link_now(source)?,
        };
        if !is_linked {
            let mut source: &File = source;
            let rewound = source.rewind();
            rewound.map_err(|error| failed("read", self.origin.path(), error))?;
        }
        Ok(is_linked)
    }

    fn link_staged(&self, staging: &Staging, source: &Arc<File>) -> Result<bool> {
        let Some(linked) = self.link_aside(source)? else {
            self.place.forget_links();
            return Ok(false);
        };
        let digest = self.expected.digest();
        self.place.prepare(digest)?;
        let file = (linked, Arc::clone(source));
        // A copy that is killed has nothing of it to transfer again, whatever its size.
        staging.add(digest, file, StagedKind::Link, 0)?;
        Ok(true)
    }

    fn link_now(&self, source: &File) -> Result<bool> {
        self.place.ensure_layout()?;
        let digest = self.expected.digest();
        let path = self.place.blob_to_write(digest)?;
        if self.place.sync_file(source, &path).is_err() {
            self.place.suspect(&name_of(digest));
            return Ok(false);
        }
        if disk::naming(&path, || link_opened(source, &path)).is_ok() {
            self.place.published(digest, &path)?;
            return Ok(true);
        }
        // Such links cannot be made here, or a file of the wrong size is in the way and is replaced.
        match self.link_aside(source)? {
            Some(linked) => {
                let named = disk::persist_link(linked, &path);
                named.map_err(|error| not_named(&path, error.error))?;
                self.place.published(digest, &path)?;
                Ok(true)
            }
            None => {
                self.place.forget_links();
                Ok(false)
            }
        }
    }

    /// A second name for the file among the temporary ones.
    fn link_aside(&self, source: &File) -> Result<Option<TempPath>> {
        let directory = self.place.temporary()?;
        let linked = Builder::new().make_in(&directory, |new| link_opened(source, new));
        if let Ok(linked) = linked {
            return Ok(Some(linked.into_temp_path()));
        }
        let path = self.origin.path();
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

    fn copy(&self, source: &File, start: u64) -> Result<NamedTempFile> {
        let mut file = self.place.temporary_file(BLOB_MODE)?;
        let mut verifier = Verifier::new(self.expected);
        let path = self.origin.path();
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
                start,
                length: self.expected.size(),
                to: file.as_file(),
                is_synced: self.place.syncs(),
            };
            copy.run(|bytes| {
                self.check_wanted()?;
                verifier.update(bytes)?;
                self.origin.observe(bytes.len() as u64);
                Ok(())
            })
            .map_err(|failure| match failure {
                Failure::Source(error) => failed("read", path, error),
                Failure::Destination(error) => failed("written", file.path(), error),
                Failure::Other(error) => error,
            })?;
        }
        verifier.finish()?;
        Ok(file)
    }

    fn check_wanted(&self) -> Result<()> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Aborted, "the push was dropped"));
        }
        Ok(())
    }

    fn read(
        &self,
        file: &File,
        path: &Path,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        read_pieces(file, path, self.expected.size(), |bytes| {
            self.check_wanted()?;
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

/// Tells a blocking thread that nobody waits for it any more.
#[derive(Default)]
pub(super) struct StopOnDrop(Arc<AtomicBool>);

impl StopOnDrop {
    /// Is set when this is dropped.
    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
