//! A new archive in a temporary file: the members of the current one, new blobs, and the index.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tempfile::NamedTempFile;
use tokio::sync::OwnedMutexGuard;
use tranship::{Algorithm, Digest, Error, ErrorKind, Result};

use super::archive_file::ArchiveFile;
use super::contents::{Blob, Contents};
use super::position::read_pieces;
use super::replace::Replacement;
use crate::driver::file::failed;
use crate::driver::position::write_all_at;
use crate::driver::{BLOBS, INDEX, OCI_LAYOUT, marker};

/// The blobs that were added, which can be read before the archive is complete.
#[derive(Debug, Default)]
pub(super) struct AddedBlobs {
    file: Option<Arc<File>>,
    blobs: HashMap<Digest, Range<u64>>,
}

impl AddedBlobs {
    /// Returns the file and the position of a blob.
    pub(super) fn get(&self, digest: &Digest) -> Option<(Arc<File>, Range<u64>)> {
        let range = self.blobs.get(digest)?.clone();
        Some((Arc::clone(self.file.as_ref()?), range))
    }
}

/// The blobs that were added, with the position of each with its headers.
type Members = Vec<(Digest, Range<u64>)>;

/// A new archive that is being written.
#[derive(Debug)]
pub(super) struct Assembly {
    archive: Arc<ArchiveFile>,
    file: Option<NamedTempFile>,
    /// The archive whose members the file begins with.
    base: Option<Arc<Contents>>,
    /// The position of the next member.
    end: u64,
    members: Members,
    /// The directories of blobs that the file has, without a slash at the end.
    directories: HashSet<String>,
    added: Arc<Mutex<AddedBlobs>>,
}

/// An assembly that only its owner writes to. Blocking work owns it, so that the next writer starts only when the work has
/// ended, even if its future is dropped.
pub(super) type AssemblyGuard = OwnedMutexGuard<Assembly>;

/// A blob whose content is being written.
#[derive(Debug)]
pub(super) struct PendingBlob {
    digest: Digest,
    start: u64,
    pub(super) data: Range<u64>,
}

impl Assembly {
    pub(super) fn new(archive: Arc<ArchiveFile>) -> Self {
        Self {
            archive,
            file: None,
            base: None,
            end: 0,
            members: Vec::new(),
            directories: HashSet::new(),
            added: Arc::default(),
        }
    }

    pub(super) fn archive(&self) -> Arc<ArchiveFile> {
        Arc::clone(&self.archive)
    }

    pub(super) fn added(&self) -> Arc<Mutex<AddedBlobs>> {
        Arc::clone(&self.added)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Returns whether the file exists.
    pub(super) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Starts a new file with the members of `base` and then the blobs that were added, both except for `without`.
    pub(super) fn begin(
        &mut self,
        base: Option<Arc<Contents>>,
        without: &HashSet<Digest>,
    ) -> Result<()> {
        let old = (self.file.take(), std::mem::take(&mut self.members));
        let file = self.archive.temporary()?;
        let shared = file.as_file().try_clone();
        let shared = shared.map_err(|error| failed("opened", file.path(), error))?;
        self.file = Some(file);
        self.end = 0;
        self.directories.clear();
        let superseded: HashSet<Digest> = old.1.iter().map(|(digest, _)| *digest).collect();
        if let Some(base) = &base {
            self.copy_base(base, |digest| {
                without.contains(digest) || superseded.contains(digest)
            })?;
        }
        self.base = base;
        let mut blobs = HashMap::new();
        if let (Some(file), members) = old {
            let before = std::mem::take(&mut self.lock_added().blobs);
            for (digest, whole) in members {
                if without.contains(&digest) {
                    continue;
                }
                self.end += self.write_directories(directories(digest.algorithm()))?;
                let start = self.end;
                self.copy(file.as_file(), file.path(), &whole)?;
                if let Some(data) = before.get(&digest) {
                    let at = |position: u64| start + (position - whole.start);
                    blobs.insert(digest, at(data.start)..at(data.end));
                }
                self.members.push((digest, start..self.end));
                self.directories.extend(directories(digest.algorithm()));
            }
        }
        *self.lock_added() = AddedBlobs {
            file: Some(Arc::new(shared)),
            blobs,
        };
        Ok(())
    }

    fn lock_added(&self) -> MutexGuard<'_, AddedBlobs> {
        self.added.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies the members of `base` in their order.
    fn copy_base(&mut self, base: &Contents, is_left_out: impl Fn(&Digest) -> bool) -> Result<()> {
        let mut left_out = base.dropped.clone();
        for (digest, blob) in &base.blobs {
            if is_left_out(digest) {
                if let Blob::Member { whole, .. } = blob {
                    left_out.push(whole.clone());
                }
            } else {
                self.directories.extend(directories(digest.algorithm()));
            }
        }
        self.directories.extend(base.directories.iter().cloned());
        left_out.sort_unstable_by_key(|range| range.start);
        let mut at = 0;
        for gap in left_out {
            self.copy(&base.opened.file, &base.opened.path, &(at..gap.start))?;
            at = gap.end;
        }
        self.copy(&base.opened.file, &base.opened.path, &(at..base.end))
    }

    /// Appends the bytes `range` of another file.
    fn copy(&mut self, from: &File, path: &Path, range: &Range<u64>) -> Result<()> {
        let mut at = self.end;
        read_pieces(from, range, |piece| {
            self.write(piece, at).map_err(CopyError::Write)?;
            at += piece.len() as u64;
            Ok(())
        })
        .map_err(|error| match error {
            CopyError::Write(error) => error,
            CopyError::Read(error) => failed("read", path, error),
        })?;
        self.end = at;
        Ok(())
    }

    /// Writes bytes at a position of the file.
    pub(super) fn write(&self, bytes: &[u8], position: u64) -> Result<()> {
        let Some(file) = &self.file else {
            return Err(Error::new(ErrorKind::Io, "the archive was not begun"));
        };
        write_all_at(file.as_file(), bytes, position)
            .map_err(|error| failed("written", self.archive.path(), error))
    }

    /// Starts a blob of `size` bytes. Unless it is [finished](Self::finish_blob), the next one overwrites it.
    pub(super) fn start_blob(&mut self, digest: &Digest, size: u64) -> Result<PendingBlob> {
        let start = self.end + self.write_directories(directories(digest.algorithm()))?;
        let name = format!("{BLOBS}/{}/{}", digest.algorithm(), digest.hex());
        let header = tranship_tar::file_header(&name, size)?;
        self.write(&header, start)?;
        let data = start + header.len() as u64;
        Ok(PendingBlob {
            digest: *digest,
            start,
            data: data..data.saturating_add(size),
        })
    }

    /// Writes those of the directories `names` that are missing, and returns how many bytes they have. They are a part of
    /// the archive only when the caller has added that to the end.
    fn write_directories(&self, names: impl IntoIterator<Item = String>) -> Result<u64> {
        let mut headers = Vec::new();
        for name in names {
            if !self.directories.contains(&name) {
                headers.extend(tranship_tar::directory_header(&format!("{name}/"))?);
            }
        }
        self.write(&headers, self.end)?;
        Ok(headers.len() as u64)
    }

    /// Adds a blob whose content was written and verified.
    pub(super) fn finish_blob(&mut self, blob: PendingBlob) -> Result<()> {
        let PendingBlob {
            digest,
            start,
            data,
        } = blob;
        let padding = tranship_tar::padding(data.end);
        self.write(padding, data.end)?;
        self.end = data.end + padding.len() as u64;
        self.directories.extend(directories(digest.algorithm()));
        self.members.push((digest, start..self.end));
        self.lock_added().blobs.insert(digest, data);
        Ok(())
    }

    /// Returns the size of a blob that was added, in bytes.
    pub(super) fn size(&self, digest: &Digest) -> Option<u64> {
        let added = self.lock_added();
        added.blobs.get(digest).map(|data| data.end - data.start)
    }

    /// Returns whether the file can replace the archive with the contents `current` if the blobs `without` are removed.
    pub(super) fn is_current(
        &self,
        current: Option<&Arc<Contents>>,
        without: &HashSet<Digest>,
    ) -> bool {
        let same_base = match (&self.base, current) {
            (None, None) => true,
            (Some(base), Some(current)) => Arc::ptr_eq(base, current),
            _ => false,
        };
        let is_duplicate = |digest: &Digest| {
            let base = self.base.as_ref();
            base.is_some_and(|base| base.blobs.contains_key(digest))
        };
        same_base
            && self.file.is_some()
            && without.is_empty()
            && !self.members.iter().any(|(digest, _)| is_duplicate(digest))
    }

    /// Replaces the base by the file, with `index` as its index, and returns the new contents; `None` if the base is not
    /// the current archive any more.
    pub(super) fn publish(&mut self, index: &Bytes) -> Result<Option<Option<Arc<Contents>>>> {
        if self.base.is_none() {
            self.end += self.write_directories([BLOBS.to_owned()])?;
            self.directories.insert(BLOBS.to_owned());
        }
        let mut tail = Vec::new();
        for (name, content) in [(INDEX, &index[..]), (OCI_LAYOUT, marker::CONTENT)] {
            tail.extend(tranship_tar::file_header(name, content.len() as u64)?);
            tail.extend_from_slice(content);
            tail.extend_from_slice(tranship_tar::padding(tail.len() as u64));
        }
        tail.extend(tranship_tar::TRAILER);
        self.write(&tail, self.end)?;
        let Some(file) = self.file.take() else {
            return Err(Error::new(ErrorKind::Io, "the archive was not begun"));
        };
        // A failed push may have written beyond the end.
        file.as_file()
            .set_len(self.end + tail.len() as u64)
            .map_err(|error| failed("written", self.archive.path(), error))?;
        match self.archive.replace(file, self.base.as_deref())? {
            Replacement::Done(contents) => Ok(Some(contents)),
            Replacement::Conflict(file) => {
                self.file = Some(file);
                Ok(None)
            }
        }
    }
}

/// Returns the directory of an algorithm's blobs, and its parent.
fn directories(algorithm: Algorithm) -> [String; 2] {
    [BLOBS.to_owned(), format!("{BLOBS}/{algorithm}")]
}

enum CopyError {
    Read(std::io::Error),
    Write(Error),
}

impl From<std::io::Error> for CopyError {
    fn from(error: std::io::Error) -> Self {
        Self::Read(error)
    }
}
