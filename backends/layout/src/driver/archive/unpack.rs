//! Archives that are compressed as a whole are decompressed once, to a file without a name.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use tranship::{ErrorKind, Result};

use super::decompress::{Compression, Decompressor};
use super::scan::corrupt;
use crate::driver::local::file::failed;
use crate::driver::position::read_exact_at;

/// How many compressed bytes are read at a time.
const PIECE: usize = 256 * 1024;

/// Returns how the content of a file is compressed, from `position` to `end`.
pub(super) fn compression_of(
    file: &File,
    position: u64,
    end: u64,
) -> io::Result<Option<Compression>> {
    let mut start = [0; 4];
    let length = end.saturating_sub(position).min(4);
    let start = &mut start[..usize::try_from(length).unwrap_or_default()];
    read_exact_at(file, start, position)?;
    Ok(Compression::detect(start))
}

/// Decompresses `file`, the archive at `path`, into a temporary file without a name, which is deleted when it is
/// closed.
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
    let to = tempfile::tempfile_in(&directory).map_err(spill)?;
    // An error of the system comes from the file that is written to.
    let refused = |error: io::Error| {
        if error.raw_os_error().is_some() {
            return spill(error);
        }
        corrupt(
            path,
            "is compressed, and the compressed data is damaged or cut off",
        )
        .with_source(error)
    };
    let mut from = file;
    let mut decompressor = Decompressor::new(Some(compression), to);
    let mut buffer = vec![0; PIECE];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return decompressor.finish().map_err(refused),
            Ok(length) => decompressor.write_all(&buffer[..length]).map_err(refused)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed("read", path, error)),
        }
    }
}
