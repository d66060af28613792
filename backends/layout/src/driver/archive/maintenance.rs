//! The blobs of an archive, and the temporary files beside it, for garbage collection and checks.

use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, stream};
use tranship::{Digest, Result, blocking};

use super::archive_file::ArchiveFile;
use super::contents::Contents;
use crate::driver::file::{age, failed};
use crate::driver::{Leftover, LeftoverKind, Pages, Stored, StoredName, disk};

/// Returns a blob of the archive. Its age is that of the archive.
pub(super) fn stored_blob(contents: &Contents, digest: &Digest) -> Option<Stored> {
    Some(Stored {
        name: StoredName::Blob(*digest),
        size: contents.blobs.get(digest)?.size(),
        age: age(&contents.opened.metadata),
        is_shared: false,
    })
}

pub(super) fn all_stored(archive: &Arc<ArchiveFile>) -> Pages<'static, Stored> {
    let archive = Arc::clone(archive);
    let page = blocking::run(move || {
        let Some(current) = archive.current()? else {
            return Ok(Vec::new());
        };
        let digests = current.blobs.keys();
        Ok(digests
            .filter_map(|digest| stored_blob(&current, digest))
            .collect())
    });
    Box::pin(page.into_stream())
}

/// Lists the temporary files of processes that died while they wrote the archive.
pub(super) fn leftovers(archive: &Arc<ArchiveFile>, min_age: Duration) -> Pages<'static, Leftover> {
    let archive = Arc::clone(archive);
    Box::pin(stream::once(blocking::run(move || {
        find_leftovers(&archive, min_age)
    })))
}

fn find_leftovers(archive: &ArchiveFile, min_age: Duration) -> Result<Vec<Leftover>> {
    let Some(directory) = archive.path().parent() else {
        return Ok(Vec::new());
    };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("listed", directory, error)),
    };
    let prefix = archive.temporary_prefix();
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed("listed", directory, error))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if name.starts_with(&prefix) && name.ends_with(".tmp") {
            found.extend(open_leftover(entry.path(), name, min_age)?.map(|(leftover, _)| leftover));
        }
    }
    Ok(found)
}

/// Returns a temporary file that is old and has no writer, with the lock that keeps writers away.
fn open_leftover(
    path: PathBuf,
    name: String,
    min_age: Duration,
) -> Result<Option<(Leftover, File)>> {
    let is_file = std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
    if !is_file {
        return Ok(None);
    }
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("opened", &path, error)),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(failed("locked", &path, error)),
    }
    let metadata = file
        .metadata()
        .map_err(|error| failed("inspected", &path, error))?;
    let leftover = Leftover {
        kind: LeftoverKind::Temporary,
        name,
        size: metadata.len(),
        is_shared: false,
    };
    Ok((age(&metadata) >= min_age).then_some((leftover, file)))
}

pub(super) async fn remove_leftover(
    archive: &Arc<ArchiveFile>,
    leftover: &Leftover,
    min_age: Duration,
) -> Result<bool> {
    let path = archive.path().with_file_name(&leftover.name);
    let name = leftover.name.clone();
    blocking::run(move || {
        let Some((_, _lock)) = open_leftover(path.clone(), name, min_age)? else {
            return Ok(false);
        };
        match disk::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("removed", &path, error)),
        }
    })
    .await
}
