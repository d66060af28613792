//! Parts of an archive, read at their position, since several readers share the file.

use std::fs::File;
use std::io;
use std::ops::Range;

use crate::driver::position::read_exact_at;

/// How much is read at a time, in bytes.
const CHUNK: u64 = 256 * 1024;

/// Returns the bytes `range` of a file, all at once.
pub(super) fn read_range(file: &File, range: &Range<u64>) -> io::Result<Vec<u8>> {
    let length = usize::try_from(range.end.saturating_sub(range.start))
        .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    let mut bytes = vec![0; length];
    read_exact_at(file, &mut bytes, range.start)?;
    Ok(bytes)
}

/// Calls `take` with the bytes `range` of a file, piece by piece.
pub(super) fn read_pieces<E: From<io::Error>>(
    file: &File,
    range: &Range<u64>,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut at = range.start;
    while at < range.end {
        let piece = read_range(file, &(at..range.end.min(at + CHUNK)))?;
        take(&piece)?;
        at += piece.len() as u64;
    }
    Ok(())
}
