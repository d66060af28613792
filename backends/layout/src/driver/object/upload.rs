//! Uploads in an object store.
//!
//! An upload is a prefix under a random name. Each write is an object of its own, named by the offset
//! at which it begins, so that any process finds out how far the upload has come. Such an object is
//! only ever created, never replaced: of two who write at the same offset one is refused, and bytes
//! never mix. A commit sends the parts through the check to the blob's key.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore as _};
use tranship::{
    Body, Descriptor, Error, ErrorKind, Result, ResultExt as _, Source, Upload, UploadId,
};

use super::errors::failed;
use super::place::{Place, child};
use super::put;
use super::redact::redact;

/// The object that is there as long as the upload.
const STARTED: &str = "started";

/// How many parts are asked for at the same time when they are put together.
const AHEAD: usize = 2;

pub(super) async fn start(place: &Arc<Place>) -> Result<Box<dyn Upload>> {
    const OPERATION: &str = "start an upload";
    let started = async {
        place.prepare().await?;
        let id = random_id()?;
        let session = Session::new(place, &id);
        let created = place.bucket.create(&session.marker(), "".into()).await?;
        if created {
            Ok((id, session))
        } else {
            Err(
                Error::new(ErrorKind::Conflict, "there is an upload of that name")
                    .with_retryable(true),
            )
        }
    };
    let (id, session) = started
        .await
        .map_err(|error: Error| error.with_operation(OPERATION))?;
    Ok(Box::new(ObjectUpload { id, session }))
}

pub(super) async fn resume(place: &Arc<Place>, id: &UploadId) -> Result<Box<dyn Upload>> {
    let resumed = async {
        if !is_id(id.as_str()) {
            return Err(unknown());
        }
        let mut session = Session::new(place, id);
        if place.bucket.head(&session.marker()).await?.is_none() {
            return Err(unknown());
        }
        session.look().await?;
        Ok(session)
    };
    let session = resumed
        .await
        .map_err(|error| error.with_operation("resume an upload"))?;
    Ok(Box::new(ObjectUpload {
        id: id.clone(),
        session,
    }))
}

fn random_id() -> Result<UploadId> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Io, "the system has no random numbers")
            .with_source(redact(&error.to_string()))
    })?;
    Ok(UploadId::new(format!(
        "{:032x}",
        u128::from_be_bytes(bytes)
    )))
}

/// Whether `id` is one that we made.
pub(super) fn is_id(id: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    id.len() == 32 && id.bytes().all(is_digit)
}

/// Below what the objects of an upload lie; `None` if `id` is none.
pub(super) fn prefix_of(place: &Place, id: &UploadId) -> Option<Path> {
    is_id(id.as_str()).then(|| child(&place.uploads(), id.as_str()))
}

/// Removes everything of an upload that is listed. The marker goes first: from then on it is over.
pub(super) async fn remove(place: &Place, prefix: &Path) -> Result<()> {
    let bucket = &place.bucket;
    bucket.delete(&child(prefix, STARTED)).await?;
    let store = Arc::clone(bucket.store());
    let keys = store.list(Some(prefix)).map_ok(|found| found.location);
    delete_all(place, prefix, keys.boxed()).await
}

async fn delete_all(
    place: &Place,
    prefix: &Path,
    keys: BoxStream<'static, object_store::Result<Path>>,
) -> Result<()> {
    let mut removed = place.bucket.store().delete_stream(keys);
    while let Some(result) = removed.next().await {
        match result {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(failed(place.bucket.url(), "removed", prefix, error)),
        }
    }
    Ok(())
}

fn unknown() -> Error {
    Error::new(ErrorKind::NotFound, "there is no such upload")
        .with_hint("it may have been committed or cancelled; start a new one")
}

fn elsewhere() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "somebody else is writing to the upload",
    )
    .with_hint("resume it to learn how far it has come")
}

/// What has arrived of an upload.
struct Session {
    place: Arc<Place>,
    prefix: Path,
    /// The parts: where each begins, and its length, in bytes.
    parts: Vec<(u64, u64)>,
    offset: u64,
    /// Whether a write was begun of which nobody knows how it ended.
    is_unsure: bool,
}

impl Session {
    fn new(place: &Arc<Place>, id: &UploadId) -> Self {
        Self {
            prefix: child(&place.uploads(), id.as_str()),
            place: Arc::clone(place),
            parts: Vec::new(),
            offset: 0,
            is_unsure: false,
        }
    }

    fn marker(&self) -> Path {
        child(&self.prefix, STARTED)
    }

    fn part(&self, offset: u64) -> Path {
        child(&self.prefix, &format!("{offset:020}"))
    }

    /// Learns from the store how far the upload has come.
    async fn look(&mut self) -> Result<()> {
        let bucket = Arc::clone(&self.place.bucket);
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
                self.arrived(size);
            }
        }
        // A listing may be late; what it does not have can be there all the same.
        while let Some(found) = bucket.head(&self.part(self.offset)).await? {
            if found.size == 0 {
                break;
            }
            self.arrived(found.size);
        }
        self.is_unsure = false;
        Ok(())
    }

    fn arrived(&mut self, size: u64) {
        self.parts.push((self.offset, size));
        self.offset += size;
    }

    async fn settle(&mut self) -> Result<()> {
        if self.is_unsure {
            self.look().await?;
        }
        Ok(())
    }

    async fn write(&mut self, offset: u64, chunk: Bytes) -> Result<()> {
        self.settle().await?;
        if offset != self.offset {
            return Err(Error::new(
                ErrorKind::RangeInvalid,
                format!(
                    "the upload goes on at byte {}, not at {offset}",
                    self.offset
                ),
            ));
        }
        if chunk.is_empty() {
            return Ok(());
        }
        self.is_unsure = true;
        let (bucket, key) = (&self.place.bucket, self.part(offset));
        // A request whose answer was lost is repeated, and then meets its own result.
        if !bucket.create(&key, chunk.clone().into()).await? && !self.holds(&key, &chunk).await? {
            return Err(elsewhere());
        }
        self.arrived(chunk.len() as u64);
        self.is_unsure = false;
        Ok(())
    }

    /// Whether `chunk` is what lies under `key`.
    async fn holds(&self, key: &Path, chunk: &Bytes) -> Result<bool> {
        let bucket = &self.place.bucket;
        let length = chunk.len() as u64;
        match bucket.get(key, GetOptions::default()).await? {
            Some(found) if found.meta.size == length => {
                Ok(bucket.content(key, found, length).await? == *chunk)
            }
            _ => Ok(false),
        }
    }

    async fn commit(&mut self, expected: &Descriptor) -> Result<()> {
        self.settle().await?;
        let committed = if self.offset == expected.size() {
            put::put(&self.place, expected, Source::once(self.body())).await
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
                // It can be tried again.
                Err(error)
            }
            committed => {
                let removed = self.remove().await;
                committed.and(removed)
            }
        }
    }

    /// All bytes that have arrived, in their order.
    fn body(&self) -> Body {
        let place = Arc::clone(&self.place);
        let parts: Vec<_> = self
            .parts
            .iter()
            .map(|(offset, length)| (self.part(*offset), *length))
            .collect();
        let bodies = stream::iter(parts)
            .map(move |(key, length)| open_part(Arc::clone(&place), key, length))
            .buffered(AHEAD)
            .try_flatten();
        Body::from_stream(bodies.boxed())
    }

    /// Removes everything. The marker goes first: from then on the upload is over.
    async fn remove(&self) -> Result<()> {
        let bucket = &self.place.bucket;
        bucket.delete(&self.marker()).await?;
        let parts = self.parts.iter().map(|(offset, _)| Ok(self.part(*offset)));
        let parts: Vec<_> = parts.collect();
        delete_all(&self.place, &self.prefix, stream::iter(parts).boxed()).await
    }
}

async fn open_part(place: Arc<Place>, key: Path, length: u64) -> Result<tranship::ByteStream> {
    let bucket = &place.bucket;
    let found = bucket.get(&key, GetOptions::default()).await?;
    match found {
        Some(found) if found.meta.size == length => Ok(bucket.body(key, found).into_stream()),
        // Committed or cancelled by somebody else.
        _ => Err(elsewhere()),
    }
}

struct ObjectUpload {
    id: UploadId,
    session: Session,
}

#[async_trait]
impl Upload for ObjectUpload {
    fn id(&self) -> &UploadId {
        &self.id
    }

    fn offset(&self) -> u64 {
        self.session.offset
    }

    async fn write(&mut self, offset: u64, chunk: Bytes) -> Result<()> {
        let written = self.session.write(offset, chunk).await;
        written.map_err(|error| error.with_operation("write to an upload"))
    }

    async fn commit(mut self: Box<Self>, expected: &Descriptor) -> Result<()> {
        let committed = self.session.commit(expected).await;
        committed.during("commit an upload", expected.digest())
    }

    async fn cancel(mut self: Box<Self>) -> Result<()> {
        let cancelled = match self.session.settle().await {
            Ok(()) => self.session.remove().await,
            Err(error) => Err(error),
        };
        cancelled.map_err(|error| error.with_operation("cancel an upload"))
    }
}

impl fmt::Debug for ObjectUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The id lets whoever reads it go on with the upload.
        f.debug_struct("ObjectUpload")
            .field("offset", &self.session.offset)
            .finish_non_exhaustive()
    }
}
