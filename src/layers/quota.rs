//! Counts the bytes that are stored, and refuses those that are too many: a part of [`Limit`](super::Limit).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::*;

/// How many bytes are stored, and how many may be.
#[derive(Debug)]
pub(super) struct Usage {
    limit: Option<u64>,
    used: AtomicU64,
}

impl Usage {
    pub(super) fn new(limit: Option<u64>, used: u64) -> Self {
        let used = AtomicU64::new(used);
        Self { limit, used }
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Adds `bytes` if the limit allows it.
    fn add(&self, bytes: u64) -> Result<()> {
        let limit = self.limit.unwrap_or(u64::MAX);
        // Nothing always fits, also if more is used than the limit allows.
        let fits = |sum: &u64| bytes == 0 || *sum <= limit;
        let enough = |used: u64| used.checked_add(bytes).filter(fits);
        let added = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough);
        added.map(|_| ()).map_err(|used| {
            let message = format!("{bytes} bytes do not fit the quota of {limit}: {used} are used");
            Error::new(ErrorKind::StorageFull, message)
                .with_hint("delete content, or ask for a larger quota")
        })
    }

    /// Adds `bytes` that are stored, whatever the limit.
    fn add_stored(&self, bytes: u64) {
        let _ = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                Some(used.saturating_add(bytes))
            });
    }

    fn subtract(&self, bytes: u64) {
        let _ = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                Some(used.saturating_sub(bytes))
            });
    }
}

/// Bytes that count as used until this is dropped, or for good if it is [kept](Self::keep).
struct Reserved {
    usage: Arc<Usage>,
    bytes: u64,
}

impl Reserved {
    fn new(usage: &Arc<Usage>, bytes: u64) -> Result<Self> {
        usage.add(bytes)?;
        let usage = Arc::clone(usage);
        Ok(Self { usage, bytes })
    }

    /// Returns bytes that are stored already.
    fn stored(usage: &Arc<Usage>, bytes: u64) -> Self {
        usage.add_stored(bytes);
        let usage = Arc::clone(usage);
        Self { usage, bytes }
    }

    fn grow(&mut self, bytes: u64) -> Result<()> {
        self.usage.add(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Sets the number of bytes to that of those that are stored.
    fn set(&mut self, bytes: u64) {
        self.usage.add_stored(bytes.saturating_sub(self.bytes));
        self.usage.subtract(self.bytes.saturating_sub(bytes));
        self.bytes = bytes;
    }

    fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.usage.subtract(self.bytes);
    }
}

/// A layer that counts the bytes that are stored.
#[derive(Debug, Clone)]
pub(super) struct Quota<T> {
    inner: T,
    usage: Arc<Usage>,
}

impl<T> Quota<T> {
    pub(super) fn new(inner: T, usage: &Arc<Usage>) -> Self {
        let usage = Arc::clone(usage);
        Self { inner, usage }
    }
}

impl<B: Backend> Quota<B> {
    /// Reserves room for `expected`. If there is not enough, that is an error unless the content is stored already:
    /// in that case a push adds nothing.
    async fn reserve(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        found: Option<Presence>,
    ) -> Result<Reserved> {
        let full = match Reserved::new(&self.usage, expected.size()) {
            Ok(reserved) => return Ok(reserved),
            Err(full) => full,
        };
        let found = match found {
            Some(found) => found,
            None => self.inner.find(kind, expected, Access::Push).await?,
        };
        if found == Presence::Whole {
            Ok(Reserved::stored(&self.usage, 0))
        } else {
            Err(full)
        }
    }

    /// An upload that is resumed can be cancelled even if it is over the quota.
    fn upload(&self, inner: Box<dyn Upload>) -> Box<dyn Upload> {
        let reserved = Reserved::stored(&self.usage, inner.offset());
        Box::new(QuotaUpload { inner, reserved })
    }
}

/// Counts what a push has stored.
fn settle(mut reserved: Reserved, expected: &Descriptor, outcome: PushOutcome) {
    if outcome == PushOutcome::Pushed {
        reserved.set(expected.size());
        reserved.keep();
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: Backend> Backend for Quota<B> {
    async fn write(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        let reserved = self.reserve(kind, expected, options.found).await?;
        let outcome = self.inner.write(kind, expected, source, options).await?;
        settle(reserved, expected, outcome);
        Ok(outcome)
    }

    async fn mount_blob(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<PushOutcome> {
        // Without a fallback nothing can be pushed.
        let reserved = match &fallback {
            Some(_) => self.reserve(ContentKind::Blob, target, None).await?,
            None => Reserved::stored(&self.usage, 0),
        };
        let outcome = self.inner.mount_blob(target, from, fallback).await?;
        settle(reserved, target, outcome);
        Ok(outcome)
    }

    async fn remove(&self, kind: ContentKind, target: &Descriptor) -> Result<()> {
        self.inner.remove(kind, target).await?;
        self.usage.subtract(target.size());
        Ok(())
    }

    async fn start_upload(&self) -> Result<Box<dyn Upload>> {
        Ok(self.upload(self.inner.start_upload().await?))
    }

    async fn resume_upload(&self, id: &UploadId) -> Result<Box<dyn Upload>> {
        Ok(self.upload(self.inner.resume_upload(id).await?))
    }

    fn begin_batch(&self) -> Option<Box<dyn Batch + '_>> {
        let inner = self.inner.begin_batch()?;
        Some(Box::new(QuotaBatch(Quota::new(inner, &self.usage))))
    }

    forward_backend!(self, self.inner;
        info read stat read_range read_reference direct_url find set_tag remove_tag list_tags list_referrers list_predecessors
        prepare_for_pushes);
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<R: Registry> Registry for Quota<R> {
    fn identity(&self) -> &RegistryIdentity {
        self.inner.identity()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>> {
        let inner = self.inner.repository(name).await?;
        Ok(Arc::new(Quota::new(inner, &self.usage)))
    }

    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        self.inner.repositories(options)
    }

    async fn expire_uploads(&self, idle: Duration) -> Result<u64> {
        self.inner.expire_uploads(idle).await
    }
}

#[derive(Debug)]
struct QuotaBatch<'a>(Quota<Box<dyn Batch + 'a>>);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Batch for QuotaBatch<'_> {
    fn backend(&self) -> &dyn Backend {
        &self.0
    }

    fn concurrency(&self) -> Option<usize> {
        self.0.inner.concurrency()
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.0.inner.commit().await
    }
}

struct QuotaUpload {
    inner: Box<dyn Upload>,
    reserved: Reserved,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Upload for QuotaUpload {
    fn id(&self) -> &UploadId {
        self.inner.id()
    }

    fn offset(&self) -> u64 {
        self.inner.offset()
    }

    async fn write(&mut self, offset: u64, chunk: Bytes) -> Result<()> {
        self.reserved.grow(chunk.len() as u64)?;
        let written = self.inner.write(offset, chunk).await;
        // A write that fails may have stored a part.
        self.reserved.set(self.inner.offset());
        written
    }

    async fn pause(&mut self) -> Result<()> {
        self.inner.pause().await
    }

    async fn commit(self: Box<Self>, expected: &Descriptor) -> Result<()> {
        let Self {
            inner,
            mut reserved,
        } = *self;
        inner.commit(expected).await?;
        reserved.set(expected.size());
        reserved.keep();
        Ok(())
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        self.inner.cancel().await
    }
}
