//! The content of a file, read out of a layer and kept until the layer is verified.

use std::io::{self, Read, Seek as _};

use bytes::Bytes;
use tempfile::{SpooledData, SpooledTempFile};
use tranship::{Body, Error, Result};

use super::tar_reader::unreadable;

/// Content up to this size, in bytes, is kept in memory, and larger content in a temporary file without a name.
const IN_MEMORY: usize = 1024 * 1024;

/// The content of a file of an image. The layer that it is from has been read to its end and verified.
#[derive(Debug)]
pub struct FileContent {
    spool: SpooledTempFile,
    size: u64,
}

impl FileContent {
    /// Reads `size` bytes from `source`.
    pub(super) fn read(source: &mut dyn Read, size: u64) -> Result<Self> {
        let mut spool = SpooledTempFile::new(IN_MEMORY);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = source.read(&mut buffer).map_err(unreadable)?;
            if length == 0 {
                break;
            }
            io::Write::write_all(&mut spool, &buffer[..length]).map_err(cannot_keep)?;
        }
        spool.rewind().map_err(cannot_keep)?;
        Ok(Self { spool, size })
    }

    /// Returns the size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the bytes, in memory or in a temporary file that is deleted when the body is dropped.
    ///
    /// # Errors
    /// [`Io`](tranship::ErrorKind::Io) if the temporary file cannot be read.
    pub fn into_body(self) -> Result<Body> {
        Ok(match self.spool.into_inner() {
            SpooledData::InMemory(bytes) => Body::from_bytes(Bytes::from(bytes.into_inner())),
            SpooledData::OnDisk(file) => Body::from_file(file, self.size),
        })
    }
}

fn cannot_keep(error: io::Error) -> Error {
    Error::io("the content cannot be kept in a temporary file", error)
        .with_subject(std::env::temp_dir().display())
        .with_hint("set TMPDIR to a directory that has room")
}
