//! Directories that a server writes to, before it does.

use std::io;
use std::path::Path;
use std::{fs, path};

/// Checks that the directory at `path` can be written to, or else that it can be created. Nothing stays behind.
///
/// # Errors
/// The error of the file system, and `NotFound` for a link that leads to nothing.
pub(super) fn check(path: &Path) -> io::Result<()> {
    let path = path::absolute(path)?;
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => is_writable(&path),
        Ok(_) => Err(io::ErrorKind::NotADirectory.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match path.parent() {
            Some(parent) if !is_link(&path) => check(parent),
            _ => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// Checks that files can be created in the directory at `path`.
///
/// # Errors
/// The error of the file system.
pub(super) fn is_writable(path: &Path) -> io::Result<()> {
    // Permissions alone do not tell: the file system may be read-only.
    tempfile::tempfile_in(path).map(drop)
}

/// Returns whether there is a link at `path`, wherever it leads.
pub(super) fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
}
