//! Takes a blob over from another file of this machine: cloned or linked where the file system can.
//!
//! Whatever the way, the bytes that end up in the layout are hashed first. So nothing is gained from
//! a copy inside the kernel (`copy_file_range`): where the file system shares extents it is a clone,
//! and elsewhere the bytes pass through memory in any case, once instead of twice.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::{Builder, NamedTempFile};
use tranship::{Descriptor, Error, ErrorKind, LocalFile, Result, Verifier};

use super::file::{failed, identity, open_regular, read_pieces};
use super::place::Place;
use super::write::{BLOB_MODE, publish};
use crate::blocking::blocking;

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
    let (place, expected, origin) = (Arc::clone(place), expected.clone(), origin.clone());
    let stop = StopOnDrop::default();
    let stopped = Arc::clone(&stop.0);
    blocking(move || {
        let Some(source) = open_origin(&origin, &expected) else {
            return Ok(false);
        };
        let work = Work {
            place: &place,
            expected: &expected,
            origin: &origin,
            stopped: &stopped,
            trust,
        };
        work.take_over(source).map(|()| true)
    })
    .await
}

/// The origin, if it is a file of the expected size. Otherwise reading it as a stream tells what is
/// wrong.
fn open_origin(origin: &LocalFile, expected: &Descriptor) -> Option<File> {
    // The path of a file that is not a blob is the user's, who may link to it.
    let (file, metadata) = if origin.is_immutable() {
        open_regular(origin.path()).ok()??
    } else {
        let metadata = std::fs::metadata(origin.path()).ok()?;
        if !metadata.is_file() {
            return None;
        }
        let file = File::open(origin.path()).ok()?;
        let metadata = file.metadata().ok()?;
        (file, metadata)
    };
    (metadata.is_file() && metadata.len() == expected.size()).then_some(file)
}

struct Work<'a> {
    place: &'a Place,
    expected: &'a Descriptor,
    origin: &'a LocalFile,
    stopped: &'a AtomicBool,
    trust: Trust,
}

impl Work<'_> {
    fn take_over(&self, source: File) -> Result<()> {
        if let Some(file) = self.clone(&source)? {
            self.verify(file.path())?;
            return publish(self.place, file, self.expected);
        }
        if self.origin.is_immutable()
            && let Some(file) = self.link(&source, self.origin.path())?
        {
            self.verify(file.path())?;
            return publish(self.place, file, self.expected);
        }
        let file = self.copy(&source)?;
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

    /// A second name for the file; `None` if it cannot have one here: it lies on another file
    /// system, belongs to somebody else, or has too many.
    fn link(&self, source: &File, path: &Path) -> Result<Option<NamedTempFile>> {
        let directory = self.place.temporary()?;
        let linked = Builder::new().make_in(&directory, |new| std::fs::hard_link(path, new));
        let Ok(linked) = linked else {
            return Ok(None);
        };
        // What was linked may not be what was opened.
        let Some((file, metadata)) = open_regular(linked.path())? else {
            return Ok(None);
        };
        let same = source
            .metadata()
            .is_ok_and(|opened| identity(&opened) == identity(&metadata));
        let (_, path) = linked.into_parts();
        Ok(same.then(|| NamedTempFile::from_parts(file, path)))
    }

    fn verify(&self, path: &Path) -> Result<()> {
        if self.trust == Trust::Verified {
            return Ok(());
        }
        let Some((file, _)) = open_regular(path)? else {
            return Err(Error::not_found(path.display()));
        };
        let mut verifier = Verifier::new(self.expected);
        self.read(&file, path, |bytes| verifier.update(bytes))?;
        verifier.finish()
    }

    fn copy(&self, source: &File) -> Result<NamedTempFile> {
        let mut file = self.place.temporary_file(BLOB_MODE)?;
        let path = file.path().to_owned();
        let mut verifier = Verifier::new(self.expected);
        self.read(source, self.origin.path(), |bytes| {
            verifier.update(bytes)?;
            file.write_all(bytes)
                .map_err(|error| failed("written", &path, error))
        })?;
        verifier.finish()?;
        Ok(file)
    }

    fn read(
        &self,
        file: &File,
        path: &Path,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        read_pieces(file, path, |bytes| {
            if self.stopped.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorKind::Aborted, "the push was dropped"));
            }
            take(bytes)?;
            self.origin.observe(bytes.len() as u64);
            Ok(())
        })
    }
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
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
