//! What is read of an archive as it is now.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tranship::{Body, Descriptor, Digest, Error, LocalFile, Result, blocking};

use super::contents::{Blob, Contents};
use super::place::Place;
use super::position;
use crate::driver::file::check_limit;
use crate::driver::{IndexRead, check_size, marker};

async fn current(place: &Arc<Place>) -> Result<Option<Arc<Contents>>> {
    let place = Arc::clone(place);
    blocking::run(move || place.current()).await
}

/// The version that `oci-layout` says.
pub(super) async fn version(place: &Arc<Place>) -> Result<Option<String>> {
    let Some(current) = current(place).await? else {
        return Ok(None);
    };
    blocking::run(move || {
        let content = current.bytes(&current.marker, marker::MAX_SIZE)?;
        let path = current.opened.path.display();
        marker::version(&content)
            .map(Some)
            .map_err(|error| error.with_subject(format_args!("{path}/oci-layout")))
    })
    .await
}

pub(super) async fn blob_size(place: &Arc<Place>, digest: &Digest) -> Result<Option<u64>> {
    let current = current(place).await?;
    Ok(current.and_then(|current| current.blobs.get(digest).map(Blob::size)))
}

pub(super) async fn open_blob(
    place: &Arc<Place>,
    target: &Descriptor,
    range: Range<u64>,
) -> Result<Body> {
    let missing = || Error::not_found(target.digest());
    let current = current(place).await?.ok_or_else(missing)?;
    match current.blobs.get(target.digest()).ok_or_else(missing)? {
        Blob::Member { data, .. } => {
            let opened = &current.opened;
            open_part(Arc::clone(&opened.file), &opened.path, data, target, range)
        }
        Blob::Made(bytes) => {
            check_size(bytes.len() as u64, target)?;
            let at =
                |position| usize::try_from(position).map_or(bytes.len(), |at| at.min(bytes.len()));
            Ok(Body::from_bytes(
                bytes.slice(at(range.start)..at(range.end)),
            ))
        }
    }
}

/// Returns the bytes `range` of the blob `target`, which is stored at `data` in `file`.
pub(super) fn open_part(
    file: Arc<File>,
    path: &Path,
    data: &Range<u64>,
    target: &Descriptor,
    range: Range<u64>,
) -> Result<Body> {
    check_size(data.end - data.start, target)?;
    let end = data.end.min(data.start.saturating_add(range.end));
    let start = data.start.saturating_add(range.start);
    let part = LocalFile::new(file, start..end).with_path(path);
    Ok(Body::from_local_file(part))
}

pub(super) async fn read_blob(
    place: &Arc<Place>,
    digest: &Digest,
    limit: u64,
) -> Result<Option<Bytes>> {
    let Some(current) = current(place).await? else {
        return Ok(None);
    };
    match current.blobs.get(digest) {
        None => Ok(None),
        Some(Blob::Made(bytes)) => {
            check_limit(bytes.len() as u64, limit).map_err(|error| error.with_subject(digest))?;
            Ok(Some(bytes.clone()))
        }
        Some(Blob::Member { data, .. }) => {
            let file = Arc::clone(&current.opened.file);
            read_part(file, data.clone(), digest, limit).await.map(Some)
        }
    }
}

/// All bytes of a blob that lies at `data` in `file`.
pub(super) async fn read_part(
    file: Arc<File>,
    data: Range<u64>,
    digest: &Digest,
    limit: u64,
) -> Result<Bytes> {
    check_limit(data.end - data.start, limit).map_err(|error| error.with_subject(digest))?;
    blocking::run(move || {
        position::read_range(&file, &data)
            .map(Bytes::from)
            .map_err(|error| Error::io("the archive cannot be read", error))
    })
    .await
}

pub(super) async fn index(
    place: &Arc<Place>,
    known: Option<Arc<Contents>>,
    limit: u64,
) -> Result<IndexRead<Arc<Contents>>> {
    let place = Arc::clone(place);
    blocking::run(move || read_index(place.current()?.as_ref(), known.as_ref(), limit)).await
}

/// The index as it is, unless the caller knows it.
pub(super) fn read_index(
    current: Option<&Arc<Contents>>,
    known: Option<&Arc<Contents>>,
    limit: u64,
) -> Result<IndexRead<Arc<Contents>>> {
    let Some(current) = current else {
        return Ok(IndexRead::Absent);
    };
    let version = Arc::clone(current);
    if known.is_some_and(|known| Arc::ptr_eq(known, current)) {
        return Ok(IndexRead::Unchanged(version));
    }
    let index = current.bytes(&current.index, limit).map_err(|error| {
        error
            .with_subject(format_args!("{}/index.json", current.opened.path.display()))
            .with_hint(
                "raise the limit with LayoutOptions::with_max_index_size if the layout is sound",
            )
    })?;
    Ok(IndexRead::Read(index, version))
}
