//! The driver of one layout in an object store.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore};
use tranship::{
    Body, Capabilities, Descriptor, Digest, DirectUrl, Error, ErrorKind, Result, Source, Upload,
    UploadId,
};

use super::bucket::Bucket;
use super::catalog::Membership;
use super::index::{self, ObjectVersion};
use super::layout::ObjectLayout;
use super::recent_blobs::LEAST_GRACE;
use super::{leftover, put, stored, sweep, update, upload};
use crate::driver::{
    Driver, Hashed, Immediate, IndexEdit, IndexFile, IndexRead, Leftover, Maintenance, Observer,
    Pages, Stored, SweepPlan, Swept, Transaction, check_size, hash_blob, marker,
};
use crate::options::LayoutOptions;

/// One layout in an object store.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(super) layout: Arc<ObjectLayout>,
}

impl Object {
    /// Returns the layout below `prefix`. This sends no request.
    pub(crate) fn new(store: Arc<dyn ObjectStore>, prefix: Path, options: &LayoutOptions) -> Self {
        Self::within(Arc::new(Bucket::new(store, options)), prefix, None)
    }

    pub(super) fn within(
        bucket: Arc<Bucket>,
        prefix: Path,
        membership: Option<Membership>,
    ) -> Self {
        Self {
            layout: Arc::new(ObjectLayout::new(bucket, prefix, membership)),
        }
    }
}

#[async_trait]
impl Driver for Object {
    fn location(&self) -> String {
        self.layout.bucket.url().of(self.layout.keys.prefix())
    }

    fn capabilities(&self) -> Capabilities {
        self.layout.bucket.capabilities()
    }

    async fn version(&self) -> Result<Option<String>> {
        let (bucket, key) = (&self.layout.bucket, self.layout.keys.marker());
        // A GET and not a HEAD: stores report a missing bucket in the body of the response.
        let Some(found) = bucket.get(&key, GetOptions::default()).await? else {
            return Ok(None);
        };
        let content = bucket.content(&key, found, marker::MAX_SIZE).await?;
        marker::version(&content)
            .map(Some)
            .map_err(|error| error.with_subject(bucket.url().of(&key)))
    }

    async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        let found = self
            .layout
            .bucket
            .head(&self.layout.keys.blob(digest))
            .await?;
        Ok(found.map(|found| found.size))
    }

    async fn open_blob(&self, target: &Descriptor, range: Range<u64>) -> Result<Body> {
        open_blob(&self.layout, target, range).await
    }

    async fn direct_url(&self, digest: &Digest, valid_for: Duration) -> Result<Option<DirectUrl>> {
        let key = self.layout.keys.blob(digest);
        self.layout.bucket.direct_url(&key, valid_for).await
    }

    async fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Option<Bytes>> {
        let (bucket, key) = (&self.layout.bucket, self.layout.keys.blob(digest));
        let Some(found) = bucket.get(&key, GetOptions::default()).await? else {
            return Ok(None);
        };
        let content = bucket.content(&key, found, limit).await;
        content
            .map(Some)
            .map_err(|error| error.with_subject(digest))
    }

    async fn put_blob(&self, expected: &Descriptor, source: Source<'_>) -> Result<()> {
        put::put(&self.layout, expected, source).await
    }

    async fn delete_blob(&self, digest: &Digest) -> Result<bool> {
        self.layout.delete_blob(digest).await
    }

    fn begin(&self) -> Box<dyn Transaction> {
        Box::new(Immediate(Arc::new(self.clone())))
    }

    async fn start_upload(&self) -> Result<Box<dyn Upload>> {
        upload::start(&self.layout).await
    }

    async fn resume_upload(&self, id: &UploadId) -> Result<Box<dyn Upload>> {
        upload::resume(&self.layout, id).await
    }
}

#[async_trait]
impl IndexFile for Object {
    type Version = ObjectVersion;

    async fn read(
        &self,
        known: Option<ObjectVersion>,
        limit: u64,
    ) -> Result<IndexRead<ObjectVersion>> {
        index::read(&self.layout, known.as_ref(), limit).await
    }

    async fn update(
        &self,
        known: Option<ObjectVersion>,
        limit: u64,
        edit: IndexEdit,
    ) -> Result<Option<ObjectVersion>> {
        update::update(&self.layout, known, limit, edit).await
    }

    async fn sweep(
        &self,
        known: Option<ObjectVersion>,
        limit: u64,
        min_age: Duration,
        plan: SweepPlan,
    ) -> Result<Swept<ObjectVersion>> {
        sweep::sweep(&self.layout, known, limit, min_age, plan).await
    }
}

#[async_trait]
impl Maintenance for Object {
    async fn write_version(&self) -> Result<()> {
        self.layout.write_marker().await
    }

    fn stored(&self) -> Pages<'_, Stored> {
        stored::list(&self.layout)
    }

    fn least_grace(&self) -> Duration {
        LEAST_GRACE
    }

    async fn hash_blob(&self, digest: &Digest, observe: Observer) -> Result<Option<Hashed>> {
        hash_blob(self, digest, observe).await
    }

    fn leftovers(&self, min_age: Duration) -> Pages<'_, Leftover> {
        leftover::list(&self.layout, min_age)
    }

    async fn remove_leftover(&self, leftover: &Leftover, min_age: Duration) -> Result<bool> {
        leftover::remove(&self.layout, leftover, min_age).await
    }
}

async fn open_blob(
    layout: &Arc<ObjectLayout>,
    target: &Descriptor,
    range: Range<u64>,
) -> Result<Body> {
    let missing = || Error::not_found(target.digest());
    let (bucket, key) = (&layout.bucket, layout.keys.blob(target.digest()));
    if range.is_empty() {
        // An HTTP range cannot be empty.
        let found = bucket.head(&key).await?.ok_or_else(missing)?;
        check_size(found.size, target)?;
        return Ok(Body::from_bytes(Bytes::new()));
    }
    let is_whole = range == (0..target.size());
    let options = GetOptions {
        range: (!is_whole).then(|| range.clone().into()),
        ..GetOptions::default()
    };
    let found = match bucket.get(&key, options).await {
        Ok(found) => found.ok_or_else(missing)?,
        Err(error) => {
            // Stores report a range beyond the end of an object in different ways.
            if let Some(found) = bucket.head(&key).await? {
                check_size(found.size, target)?;
            }
            return Err(error);
        }
    };
    check_size(found.meta.size, target)?;
    if found.range != range {
        let why = "the store returned another range than the requested one";
        return Err(Error::new(ErrorKind::Io, why).with_subject(bucket.url().of(&key)));
    }
    Ok(bucket.body(key, found))
}
