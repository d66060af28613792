//! Archives that are compressed as a whole: decompressed once, to a file without a name.

use std::fs::File;
use std::io::{self, BufReader, Read, Write as _};
use std::path::Path;

use tranship::{ErrorKind, Result};

use super::scan::corrupt;
use crate::driver::local::file::failed;
use crate::driver::position::read_exact_at;

/// How much is decompressed at a time, in bytes.
const PIECE: usize = 256 * 1024;

/// How bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    /// How content is compressed that begins with these bytes.
    pub(super) fn detect(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            // A frame that is to be skipped; others follow.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// How the content of a file is compressed, from `position` to `end`.
    pub(super) fn of(file: &File, position: u64, end: u64) -> io::Result<Option<Self>> {
        let mut start = [0; 4];
        let length = end.saturating_sub(position).min(4);
        let start = &mut start[..usize::try_from(length).unwrap_or_default()];
        read_exact_at(file, start, position)?;
        Ok(Self::detect(start))
    }

    /// What `source` holds, decompressed. Members and frames may follow each other; anything else
    /// behind them is an error.
    pub(super) fn reader<'a>(self, source: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
        let source = BufReader::with_capacity(64 * 1024, source);
        Ok(match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(source)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(source)?),
        })
    }
}

/// The content of `file`, the compressed archive at `path`, in a temporary file that nobody else
/// sees and that is gone when it is closed.
///
/// # Errors
/// `Corrupt` if the content cannot be decompressed, `StorageFull` if there is no room for it.
pub(super) fn unpack(file: &File, path: &Path, compression: Compression) -> Result<File> {
    let directory = std::env::temp_dir();
    let spill = |error| {
        let error = failed("written", &directory, error);
        if error.kind() == ErrorKind::StorageFull {
            return error.with_hint(
                "the archive is compressed and is decompressed there to be read; free some space, or \
                 set TMPDIR to a directory that has it",
            );
        }
        error
    };
    let mut to = tempfile::tempfile_in(&directory).map_err(spill)?;
    let damaged = |error: io::Error| {
        if error.raw_os_error().is_some() {
            return failed("read", path, error);
        }
        corrupt(
            path,
            "is compressed, and what is compressed is damaged or cut off",
        )
        .with_source(error)
    };
    let mut from = compression.reader(file).map_err(damaged)?;
    let mut buffer = vec![0; PIECE];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(to),
            Ok(length) => to.write_all(&buffer[..length]).map_err(spill)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(damaged(error)),
        }
    }
}
