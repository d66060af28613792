//! Finds the members of an archive.

use std::fs::File;
use std::path::Path;

use tranship::{Error, ErrorKind, Result};
use tranship_tar::{Member, ScanError};

use crate::driver::file::failed;

/// Returns the error for a damaged archive.
pub(super) fn corrupt(archive: &Path, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, message.into()).with_subject(archive.display())
}

/// Calls `visit` with each member of the tar file `file`, and returns the end of the last one. The subject of errors is
/// `archive`.
///
/// # Errors
/// `Corrupt` if the file is truncated or not a tar file.
pub(super) fn scan(
    file: &File,
    archive: &Path,
    visit: impl FnMut(&Member<'_>) -> Result<()>,
) -> Result<u64> {
    tranship_tar::scan(file, visit).map_err(|error| match error {
        ScanError::Io(error) => failed("read", archive, error),
        ScanError::Header(what) => {
            corrupt(archive, what).with_hint("expected a tar archive, compressed or not")
        }
        ScanError::Corrupt(what) => corrupt(archive, what),
        ScanError::CutOff(what) => corrupt(archive, what)
            .with_hint("it was not copied or written to its end; get it again"),
        ScanError::Visit(error) => error,
    })
}
