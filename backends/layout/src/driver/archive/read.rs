//! Reads the current contents of an archive.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tranship::{Body, Descriptor, Digest, Error, LocalFile, Result, blocking};

use super::archive_file::ArchiveFile;
use super::contents::{Blob, Contents};
use super::position;
use crate::driver::file::check_limit;
use crate::driver::{IndexRead, check_size, marker};

async fn current(archive: &Arc<ArchiveFile>) -> Result<Option<Arc<Contents>>> {
    let archive = Arc::clone(archive);
    blocking::run(move || archive.current()).await
}

/// Returns the version in `oci-layout`.
pub(super) async fn version(archive: &Arc<ArchiveFile>) -> Result<Option<String>> {
    let Some(current) = current(archive).await? else {
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

pub(super) async fn blob_size(archive: &Arc<ArchiveFile>, digest: &Digest) -> Result<Option<u64>> {
    let current = current(archive).await?;
    Ok(current.and_then(|current| current.blobs.get(digest).map(Blob::size)))
}

pub(super) async fn open_blob(
    archive: &Arc<ArchiveFile>,
    target: &Descriptor,
    range: Range<u64>,
) -> Result<Body> {
    let missing = || Error::not_found(target.digest());
    let current = current(archive).await?.ok_or_else(missing)?;
    match current.blobs.get(target.digest()).ok_or_else(missing)? {
        Blob::Member { data, .. } => {
            let opened = &current.opened;
            open_part(Arc::clone(&opened.file), &opened.path, data, target, range)
        }
        Blob::Generated(bytes) => {
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
    archive: &Arc<ArchiveFile>,
    digest: &Digest,
    limit: u64,
) -> Result<Option<Bytes>> {
    let Some(current) = current(archive).await? else {
        return Ok(None);
    };
    match current.blobs.get(digest) {
        None => Ok(None),
        Some(Blob::Generated(bytes)) => {
            check_limit(bytes.len() as u64, limit).map_err(|error| error.with_subject(digest))?;
            Ok(Some(bytes.clone()))
        }
        Some(Blob::Member { data, .. }) => {
            let file = Arc::clone(&current.opened.file);
            read_part(file, data.clone(), digest, limit).await.map(Some)
        }
    }
}

/// Reads a blob that is stored at `data` in `file`.
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
    archive: &Arc<ArchiveFile>,
    known: Option<Arc<Contents>>,
    limit: u64,
) -> Result<IndexRead<Arc<Contents>>> {
    let archive = Arc::clone(archive);
    blocking::run(move || read_index(archive.current()?.as_ref(), known.as_ref(), limit)).await
}

/// Reads the index, unless `known` is its current version.
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
