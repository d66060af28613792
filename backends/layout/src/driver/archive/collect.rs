//! What an archive holds, for who collects garbage, and what dead processes left beside it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, stream};
use tranship::{Digest, Result, blocking};

use super::contents::Contents;
use super::place::Place;
use crate::driver::file::{age, failed};
use crate::driver::{Leftover, LeftoverKind, Pages, Stored, StoredName, disk};

/// A blob of the archive. It is as old as that: blobs have no times of their own.
pub(super) fn stored(contents: &Contents, digest: &Digest) -> Option<Stored> {
    Some(Stored {
        name: StoredName::Blob(*digest),
        size: contents.blobs.get(digest)?.size(),
        age: age(&contents.opened.metadata),
        is_shared: false,
    })
}

pub(super) fn all_stored(place: &Arc<Place>) -> Pages<'static, Stored> {
    let place = Arc::clone(place);
    let page = blocking::run(move || {
        let Some(current) = place.current()? else {
            return Ok(Vec::new());
        };
        let digests = current.blobs.keys();
        Ok(digests
            .filter_map(|digest| stored(&current, digest))
            .collect())
    });
    Box::pin(page.into_stream())
}

/// The temporary files of processes that died while they wrote the archive.
pub(super) fn leftovers(place: &Arc<Place>, min_age: Duration) -> Pages<'static, Leftover> {
    let place = Arc::clone(place);
    Box::pin(stream::once(blocking::run(move || find(&place, min_age))))
}

fn find(place: &Place, min_age: Duration) -> Result<Vec<Leftover>> {
    let Some(directory) = place.path().parent() else {
        return Ok(Vec::new());
    };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("listed", directory, error)),
    };
    let prefix = place.temporary_prefix();
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed("listed", directory, error))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if name.starts_with(&prefix) && name.ends_with(".tmp") {
            found.extend(look_at(entry.path(), name, min_age)?.map(|(leftover, _)| leftover));
        }
    }
    Ok(found)
}

/// The file, if it is old and nobody writes to it, and the lock that keeps it so.
fn look_at(path: PathBuf, name: String, min_age: Duration) -> Result<Option<(Leftover, File)>> {
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
    place: &Arc<Place>,
    leftover: &Leftover,
    min_age: Duration,
) -> Result<bool> {
    let path = place.path().with_file_name(&leftover.name);
    let name = leftover.name.clone();
    blocking::run(move || {
        let Some((_, _lock)) = look_at(path.clone(), name, min_age)? else {
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
