//! Makes the names of files and directories durable.

use std::io;
use std::path::Path;
use std::time::Duration;

use tranship::Result;

use super::disk;
use super::file::{age, failed, identity};

/// Names in a directory that has not changed for this time are on the disk: Linux writes them after half a
/// minute.
const SETTLED: Duration = Duration::from_secs(3600);

/// Makes durable the names of the file or directory `path` and of all directories above it.
#[cfg(feature = "archive")]
pub(crate) fn sync_names_above(path: &Path) -> Result<()> {
    above(path).try_for_each(sync_names)
}

/// Returns the directories above `path` whose names may not be durable: up to the root of the file system, or
/// to one that has not changed for long enough.
pub(super) fn above(path: &Path) -> impl Iterator<Item = &Path> {
    let device = |path: &Path| identity_of(path).map(|(device, _)| device);
    let here = device(path);
    let is_new =
        |above: &Path| std::fs::metadata(above).map_or(true, |found| age(&found) < SETTLED);
    let above = path.ancestors().skip(1);
    above.take_while(move |above| device(above) == here && is_new(above))
}

/// Makes durable the names in a directory.
pub(crate) fn sync_names(directory: &Path) -> Result<()> {
    match disk::sync_directory(directory) {
        // A process may be allowed to use a directory and not to open it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        outcome => outcome.map_err(|error| failed("synced", directory, error)),
    }
}

/// Returns what tells a directory from every other, where the system has such a thing.
pub(super) fn identity_of(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some(identity(&found).unwrap_or_default())
}
