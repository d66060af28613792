//! The open file of an archive.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tranship::decompress::Compression;
use tranship::{Error, ErrorKind, Result};

use super::position::{read_pieces, read_range};
use super::scan::corrupt;
use super::unpack::{compression_of, unpack};
use crate::driver::file::failed;
use crate::driver::stamp::Stamp;

/// A file that has, or had, the path of an archive.
#[derive(Debug)]
pub(super) struct OpenedArchive {
    pub(super) path: PathBuf,
    /// The archive, or a temporary file with its decompressed content. While it is open, it can be read, even if the
    /// archive is replaced.
    pub(super) file: Arc<File>,
    pub(super) stamp: Stamp,
    pub(super) compression: Option<Compression>,
    /// The metadata of the archive when it was opened.
    pub(super) metadata: std::fs::Metadata,
}

impl OpenedArchive {
    /// Opens the archive at `path`; `None` if there is none. A compressed one is decompressed, to at most
    /// `max_unpacked` bytes.
    ///
    /// # Errors
    /// `InvalidInput` if it is not a regular file, `SizeExceedsLimit`, and `StorageFull`.
    pub(super) fn open(path: &Path, max_unpacked: u64) -> Result<Option<Self>> {
        // Opening a pipe would block until it has a writer.
        if stat(path)?.is_none() {
            return Ok(None);
        }
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("opened", path, error)),
        };
        let metadata = file
            .metadata()
            .map_err(|error| failed("inspected", path, error))?;
        let compression = compression_of(&file, 0, metadata.len())
            .map_err(|error| failed("read", path, error))?;
        let stamp = Stamp::of(&metadata);
        let file = match compression {
            Some(compression) => unpack(&file, path, compression, max_unpacked)?,
            None => file,
        };
        Ok(Some(Self {
            path: path.to_owned(),
            file: Arc::new(file),
            stamp,
            compression,
            metadata,
        }))
    }

    /// Reads the bytes `range`.
    pub(super) fn read(&self, range: &Range<u64>) -> Result<Vec<u8>> {
        read_range(&self.file, range).map_err(|error| self.unreadable(error))
    }

    /// Returns the error for content that could not be read.
    pub(super) fn unreadable(&self, error: io::Error) -> Error {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return corrupt(&self.path, "was cut short while it was read").with_source(error);
        }
        failed("read", &self.path, error)
    }

    /// Returns whether two members have the same content.
    pub(super) fn are_equal(&self, one: &Range<u64>, other: &Range<u64>) -> Result<bool> {
        if one.end - one.start != other.end - other.start {
            return Ok(false);
        }
        let mut equal = true;
        let mut at = one.start;
        let compared = read_pieces(&self.file, other, |piece| {
            let length = piece.len() as u64;
            equal = equal && read_range(&self.file, &(at..at + length))? == piece;
            at += length;
            Ok::<_, io::Error>(())
        });
        compared.map_err(|error| self.unreadable(error))?;
        Ok(equal)
    }
}

/// Returns the metadata of the file at the path of an archive; `None` if it does not exist.
///
/// # Errors
/// `InvalidInput` if it is not a regular file.
pub(super) fn stat(path: &Path) -> Result<Option<std::fs::Metadata>> {
    let (what, hint) = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => return Ok(Some(metadata)),
        Ok(metadata) if metadata.is_dir() => (
            "is a directory, not an archive",
            "a layout in a directory is named oci:DIR",
        ),
        Ok(_) => (
            "is not a regular file",
            "an archive is read at many positions; write it to a file first",
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("inspected", path, error)),
    };
    Err(Error::new(ErrorKind::InvalidInput, what)
        .with_subject(path.display())
        .with_hint(hint))
}
