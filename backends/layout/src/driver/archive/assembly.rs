//! An archive that comes to be, in a temporary file: what was there, what is added, and the index.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tempfile::NamedTempFile;
use tokio::sync::OwnedMutexGuard;
use tranship::{Algorithm, Digest, Error, ErrorKind, Result};

use super::contents::{Blob, Contents};
use super::header;
use super::place::{Place, Replaced};
use super::position::read_pieces;
use crate::driver::file::failed;
use crate::driver::position::write_all_at;
use crate::driver::{BLOBS, INDEX, OCI_LAYOUT, marker};

/// What was added so far, for those who read meanwhile.
#[derive(Debug, Default)]
pub(super) struct Added {
    file: Option<Arc<File>>,
    blobs: HashMap<Digest, Range<u64>>,
}

impl Added {
    /// Where a blob lies that was added.
    pub(super) fn find(&self, digest: &Digest) -> Option<(Arc<File>, Range<u64>)> {
        let range = self.blobs.get(digest)?.clone();
        Some((Arc::clone(self.file.as_ref()?), range))
    }
}

/// The members that were added: where each lies with its headers, and the blob that it is.
type Members = Vec<(Digest, Range<u64>)>;

#[derive(Debug)]
pub(super) struct Assembly {
    place: Arc<Place>,
    file: Option<NamedTempFile>,
    /// What the file begins with.
    base: Option<Arc<Contents>>,
    /// Where the next member goes.
    end: u64,
    members: Members,
    /// The directories of blobs that are there, without a slash at the end.
    directories: HashSet<String>,
    added: Arc<Mutex<Added>>,
}

/// The archive, and the right to write to it. It goes along with the work: where that is dropped,
/// the next writer comes when the thread has let go.
pub(super) type Turn = OwnedMutexGuard<Assembly>;

/// A blob whose content is being written.
#[derive(Debug)]
pub(super) struct Slot {
    digest: Digest,
    start: u64,
    pub(super) data: Range<u64>,
}

impl Assembly {
    pub(super) fn new(place: Arc<Place>) -> Self {
        Self {
            place,
            file: None,
            base: None,
            end: 0,
            members: Vec::new(),
            directories: HashSet::new(),
            added: Arc::default(),
        }
    }

    pub(super) fn place(&self) -> Arc<Place> {
        Arc::clone(&self.place)
    }

    pub(super) fn added(&self) -> Arc<Mutex<Added>> {
        Arc::clone(&self.added)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether a file has been begun.
    pub(super) fn is_begun(&self) -> bool {
        self.file.is_some()
    }

    /// Begins the file with what `base` holds, but for the blobs `without`. What was added before
    /// follows.
    pub(super) fn begin(
        &mut self,
        base: Option<Arc<Contents>>,
        without: &HashSet<Digest>,
    ) -> Result<()> {
        let old = (self.file.take(), std::mem::take(&mut self.members));
        let file = self.place.temporary()?;
        let shared = file.as_file().try_clone();
        let shared = shared.map_err(|error| failed("opened", file.path(), error))?;
        self.file = Some(file);
        self.end = 0;
        self.directories.clear();
        let superseded: HashSet<Digest> = old.1.iter().map(|(digest, _)| *digest).collect();
        if let Some(base) = &base {
            self.take_base(base, |digest| {
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
                self.end += self.make_directories(directories(digest.algorithm()))?;
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
        *self.lock_added() = Added {
            file: Some(Arc::new(shared)),
            blobs,
        };
        Ok(())
    }

    fn lock_added(&self) -> MutexGuard<'_, Added> {
        self.added.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the members of `base` in their order.
    fn take_base(&mut self, base: &Contents, is_left_out: impl Fn(&Digest) -> bool) -> Result<()> {
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
            self.write(piece, at).map_err(Failure::Ours)?;
            at += piece.len() as u64;
            Ok(())
        })
        .map_err(|failure| match failure {
            Failure::Ours(error) => error,
            Failure::Read(error) => failed("read", path, error),
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
            .map_err(|error| failed("written", self.place.path(), error))
    }

    /// Begins a blob of `size` bytes. Unless it is [ended](Self::end) it is not there, and the next
    /// one takes its place.
    pub(super) fn start(&mut self, digest: &Digest, size: u64) -> Result<Slot> {
        let start = self.end + self.make_directories(directories(digest.algorithm()))?;
        let name = format!("{BLOBS}/{}/{}", digest.algorithm(), digest.hex());
        let header = header::file(&name, size)?;
        self.write(&header, start)?;
        let data = start + header.len() as u64;
        Ok(Slot {
            digest: *digest,
            start,
            data: data..data.saturating_add(size),
        })
    }

    /// Writes those of the directories `names` that are missing, and answers how many bytes that
    /// took. They are there when what follows them is.
    fn make_directories(&self, names: impl IntoIterator<Item = String>) -> Result<u64> {
        let mut headers = Vec::new();
        for name in names {
            if !self.directories.contains(&name) {
                headers.extend(header::directory(&format!("{name}/"))?);
            }
        }
        self.write(&headers, self.end)?;
        Ok(headers.len() as u64)
    }

    /// Says that the content of a blob was written and is what it should be.
    pub(super) fn end(&mut self, slot: Slot) -> Result<()> {
        let Slot {
            digest,
            start,
            data,
        } = slot;
        let padding = vec![0; header::padding(data.end)];
        self.write(&padding, data.end)?;
        self.end = data.end + padding.len() as u64;
        self.directories.extend(directories(digest.algorithm()));
        self.members.push((digest, start..self.end));
        self.lock_added().blobs.insert(digest, data);
        Ok(())
    }

    /// The size of a blob that was added.
    pub(super) fn size(&self, digest: &Digest) -> Option<u64> {
        let added = self.lock_added();
        added.blobs.get(digest).map(|data| data.end - data.start)
    }

    /// Whether the file is what it has to be if `current` lies at the archive's path, and `without`
    /// goes.
    pub(super) fn is_over(
        &self,
        current: Option<&Arc<Contents>>,
        without: &HashSet<Digest>,
    ) -> bool {
        let same_base = match (&self.base, current) {
            (None, None) => true,
            (Some(base), Some(current)) => Arc::ptr_eq(base, current),
            _ => false,
        };
        let is_twice = |digest: &Digest| {
            let base = self.base.as_ref();
            base.is_some_and(|base| base.blobs.contains_key(digest))
        };
        same_base
            && self.file.is_some()
            && without.is_empty()
            && !self.members.iter().any(|(digest, _)| is_twice(digest))
    }

    /// Puts the file in place of its base, with `index` as its index, and answers what lies there
    /// then. `None` if something else lies there than the base.
    pub(super) fn publish(&mut self, index: &Bytes) -> Result<Option<Option<Arc<Contents>>>> {
        if self.base.is_none() {
            self.end += self.make_directories([BLOBS.to_owned()])?;
            self.directories.insert(BLOBS.to_owned());
        }
        let mut tail = Vec::new();
        for (name, content) in [(INDEX, &index[..]), (OCI_LAYOUT, marker::CONTENT)] {
            tail.extend(header::file(name, content.len() as u64)?);
            tail.extend_from_slice(content);
            tail.resize(tail.len() + header::padding(tail.len() as u64), 0);
        }
        tail.extend(header::TRAILER);
        self.write(&tail, self.end)?;
        let Some(file) = self.file.take() else {
            return Err(Error::new(ErrorKind::Io, "the archive was not begun"));
        };
        // Behind it may lie what a push left that failed.
        file.as_file()
            .set_len(self.end + tail.len() as u64)
            .map_err(|error| failed("written", self.place.path(), error))?;
        match self.place.replace(file, self.base.as_deref())? {
            Replaced::Yes(contents) => Ok(Some(contents)),
            Replaced::No(file) => {
                self.file = Some(file);
                Ok(None)
            }
        }
    }
}

/// The directory of an algorithm's blobs, and that above it.
fn directories(algorithm: Algorithm) -> [String; 2] {
    [BLOBS.to_owned(), format!("{BLOBS}/{algorithm}")]
}

enum Failure {
    Read(std::io::Error),
    Ours(Error),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Read(error)
    }
}
