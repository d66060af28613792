//! Parts of files, of which not all need to be open at the same time.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tranship::{Error, ErrorKind, LocalFile, Result};

/// A file that stays open or is opened again when it is read. It must not change.
#[derive(Debug)]
pub(super) struct StoredFile {
    path: PathBuf,
    file: Mutex<Option<Arc<File>>>,
    length: u64,
    modified: Option<SystemTime>,
}

impl StoredFile {
    /// Opens the file `path`. Blocks.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let failed = |error| Error::io("cannot be opened", error).with_subject(path.display());
        // Opening a pipe would block until it has a writer.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(Error::new(ErrorKind::InvalidInput, "is not a regular file")
                .with_subject(path.display())
                .with_hint("a bundle is read at many positions; write it to a file first"));
        }
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(Some(Arc::new(file))),
            length: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Closes the file until it is read again.
    pub(super) fn close(&self) {
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns the open file.
    ///
    /// # Errors
    /// `Corrupt` if it was closed, and has changed since.
    pub(super) fn file(&self) -> Result<Arc<File>> {
        let kept = self
            .file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(file) = kept {
            return Ok(file);
        }
        let again = Self::open(&self.path)?;
        if (again.length, again.modified) != (self.length, self.modified) {
            return Err(
                Error::new(ErrorKind::Corrupt, "was changed while it was read")
                    .with_subject(self.path.display()),
            );
        }
        again.file()
    }
}

/// A range of bytes of a file.
#[derive(Debug, Clone)]
pub(super) struct StoredPart {
    file: Arc<StoredFile>,
    range: Range<u64>,
}

impl StoredPart {
    pub(super) fn new(file: Arc<StoredFile>, range: Range<u64>) -> Self {
        Self { file, range }
    }

    pub(super) fn length(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Returns the bytes `range` of this part.
    pub(super) fn part(&self, range: Range<u64>) -> Self {
        let start = self.range.start;
        Self {
            file: Arc::clone(&self.file),
            range: start + range.start..start + range.end,
        }
    }

    /// Opens the file, unless it is open.
    ///
    /// # Errors
    /// As [`StoredFile::file`].
    pub(super) fn open(&self) -> Result<LocalFile> {
        let file = LocalFile::new(self.file.file()?, self.range.clone());
        Ok(file.with_path(self.file.path()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_file_is_opened_again_unless_it_has_changed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x");
        std::fs::write(&path, b"hello world").expect("written");
        let file = Arc::new(StoredFile::open(&path).expect("opened"));
        let part = StoredPart::new(Arc::clone(&file), 2..9).part(1..4);
        file.close();
        let mut buffer = [0; 10];
        let read = part.open().expect("opened").read_at(&mut buffer, 0);
        assert_eq!(&buffer[..read.expect("read")], b"lo ");
        std::fs::write(&path, b"hello").expect("written");
        assert_eq!(part.open().expect_err("changed").kind(), ErrorKind::Corrupt);
    }
}
