//! The objects of an upload, and how far it has come.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore as _};
use tranship::{Body, Descriptor, Error, ErrorKind, Result, Source, UploadId};

use super::errors::failed;
use super::keys::child;
use super::layout::ObjectLayout;
use super::put;

/// The name of the object that exists as long as the upload does.
const STARTED: &str = "started";

/// How many parts are requested at the same time when they are joined.
const AHEAD: usize = 2;

/// Returns whether `id` has the form of an id that this backend makes.
pub(super) fn is_id(id: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    id.len() == 32 && id.bytes().all(is_digit)
}

/// Returns the prefix of the objects of an upload; `None` if no upload can have this id.
pub(super) fn prefix_of(layout: &ObjectLayout, id: &UploadId) -> Option<Path> {
    is_id(id.as_str()).then(|| child(&layout.keys.uploads(), id.as_str()))
}

/// Removes all objects of an upload that are listed. The first is [`STARTED`], without which the upload does not exist.
pub(super) async fn remove(layout: &ObjectLayout, prefix: &Path) -> Result<()> {
    let bucket = &layout.bucket;
    bucket.delete(&child(prefix, STARTED)).await?;
    let store = Arc::clone(bucket.store());
    let keys = store.list(Some(prefix)).map_ok(|found| found.location);
    delete_all(layout, prefix, keys.boxed()).await
}

async fn delete_all(
    layout: &ObjectLayout,
    prefix: &Path,
    keys: BoxStream<'static, object_store::Result<Path>>,
) -> Result<()> {
    let mut removed = layout.bucket.store().delete_stream(keys);
    while let Some(result) = removed.next().await {
        match result {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(failed(layout.bucket.url(), "removed", prefix, error)),
        }
    }
    Ok(())
}

fn concurrent_change() -> Error {
    Error::new(ErrorKind::Conflict, "another client has changed the upload")
        .with_hint("resume the upload to get its current offset")
}

/// What a store has of an upload.
pub(super) struct ObjectSession {
    layout: Arc<ObjectLayout>,
    prefix: Path,
    /// The offset of each part, and its length, in bytes.
    parts: Vec<(u64, u64)>,
    pub(super) offset: u64,
    /// Whether a write was begun whose result is not known.
    is_unsure: bool,
}

impl ObjectSession {
    pub(super) fn new(layout: &Arc<ObjectLayout>, id: &UploadId) -> Self {
        Self {
            prefix: child(&layout.keys.uploads(), id.as_str()),
            layout: Arc::clone(layout),
            parts: Vec::new(),
            offset: 0,
            is_unsure: false,
        }
    }

    /// Returns the key of the object that exists as long as the upload does.
    pub(super) fn marker(&self) -> Path {
        child(&self.prefix, STARTED)
    }

    fn part(&self, offset: u64) -> Path {
        child(&self.prefix, &format!("{offset:020}"))
    }

    /// Asks the store which parts exist.
    pub(super) async fn refresh(&mut self) -> Result<()> {
        let bucket = Arc::clone(&self.layout.bucket);
        let mut listed = bucket.store().list(Some(&self.prefix));
        let mut sizes = Vec::new();
        while let Some(found) = listed.next().await {
            let found =
                found.map_err(|error| failed(bucket.url(), "listed", &self.prefix, error))?;
            let offset = found
                .location
                .filename()
                .and_then(|name| name.parse::<u64>().ok());
            sizes.extend(offset.map(|offset| (offset, found.size)));
        }
        sizes.sort_unstable();
        self.parts.clear();
        self.offset = 0;
        for (offset, size) in sizes {
            if offset == self.offset {
                self.add_part(size);
            }
        }
        // A listing may be outdated, and lack parts that exist.
        while let Some(found) = bucket.head(&self.part(self.offset)).await? {
            if found.size == 0 {
                break;
            }
            self.add_part(found.size);
        }
        self.is_unsure = false;
        Ok(())
    }

    fn add_part(&mut self, size: u64) {
        self.parts.push((self.offset, size));
        self.offset += size;
    }

    /// Asks the store which parts exist, unless that is known.
    pub(super) async fn refresh_if_unsure(&mut self) -> Result<()> {
        if self.is_unsure {
            self.refresh().await?;
        }
        Ok(())
    }

    pub(super) async fn write(&mut self, offset: u64, chunk: Bytes) -> Result<()> {
        self.refresh_if_unsure().await?;
        if offset != self.offset {
            return Err(Error::new(
                ErrorKind::RangeInvalid,
                format!(
                    "the upload continues at byte {}, not at {offset}",
                    self.offset
                ),
            ));
        }
        if chunk.is_empty() {
            return Ok(());
        }
        self.is_unsure = true;
        let (bucket, key) = (&self.layout.bucket, self.part(offset));
        // The client repeats a request whose response was lost. The repeated one fails because the first one succeeded.
        if !bucket.create(&key, chunk.clone().into()).await? && !self.holds(&key, &chunk).await? {
            return Err(concurrent_change());
        }
        self.add_part(chunk.len() as u64);
        self.is_unsure = false;
        Ok(())
    }

    /// Returns whether the object `key` has the content `chunk`.
    async fn holds(&self, key: &Path, chunk: &Bytes) -> Result<bool> {
        let bucket = &self.layout.bucket;
        let length = chunk.len() as u64;
        match bucket.get(key, GetOptions::default()).await? {
            Some(found) if found.meta.size == length => {
                Ok(bucket.content(key, found, length).await? == *chunk)
            }
            _ => Ok(false),
        }
    }

    pub(super) async fn commit(&mut self, expected: &Descriptor) -> Result<()> {
        self.refresh_if_unsure().await?;
        let committed = if self.offset == expected.size() {
            put::put(&self.layout, expected, Source::once(self.body())).await
        } else {
            let (arrived, size) = (self.offset, expected.size());
            let why = format!("{arrived} bytes were uploaded, {size} were expected");
            Err(Error::new(ErrorKind::SizeMismatch, why))
        };
        match committed {
            Err(error)
                if !matches!(
                    error.kind(),
                    ErrorKind::SizeMismatch | ErrorKind::DigestMismatch
                ) =>
            {
                // The parts are kept, so that the commit can be repeated.
                Err(error)
            }
            committed => {
                let removed = self.remove().await;
                committed.and(removed)
            }
        }
    }

    /// Returns the content of all parts, in order.
    fn body(&self) -> Body {
        let layout = Arc::clone(&self.layout);
        let parts: Vec<_> = self
            .parts
            .iter()
            .map(|(offset, length)| (self.part(*offset), *length))
            .collect();
        let bodies = stream::iter(parts)
            .map(move |(key, length)| open_part(Arc::clone(&layout), key, length))
            .buffered(AHEAD)
            .try_flatten();
        Body::from_stream(bodies.boxed())
    }

    /// Removes all objects of the upload. The first is [`STARTED`], without which the upload does not exist.
    pub(super) async fn remove(&self) -> Result<()> {
        let bucket = &self.layout.bucket;
        bucket.delete(&self.marker()).await?;
        let parts = self.parts.iter().map(|(offset, _)| Ok(self.part(*offset)));
        let parts: Vec<_> = parts.collect();
        delete_all(&self.layout, &self.prefix, stream::iter(parts).boxed()).await
    }
}

async fn open_part(
    layout: Arc<ObjectLayout>,
    key: Path,
    length: u64,
) -> Result<tranship::ByteStream> {
    let bucket = &layout.bucket;
    let found = bucket.get(&key, GetOptions::default()).await?;
    match found {
        Some(found) if found.meta.size == length => Ok(bucket.body(key, found).into_stream()),
        // Another client has committed or cancelled the upload.
        _ => Err(concurrent_change()),
    }
}
