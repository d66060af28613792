//! The layer that counts the bytes that are stored, and refuses those that are too many.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::meter::Meter;
use crate::*;

/// Bytes that count as used until this is dropped, or for good if it is [kept](Self::keep).
struct Reserved {
    meter: Arc<dyn Meter>,
    bytes: u64,
}

impl Reserved {
    fn new(meter: &Arc<dyn Meter>, bytes: u64) -> Result<Self> {
        meter.reserve(bytes)?;
        let meter = Arc::clone(meter);
        Ok(Self { meter, bytes })
    }

    /// Returns bytes that are stored already.
    fn stored(meter: &Arc<dyn Meter>, bytes: u64) -> Self {
        meter.reserve_stored(bytes);
        let meter = Arc::clone(meter);
        Self { meter, bytes }
    }

    /// Makes this at least `bytes`.
    fn grow(&mut self, bytes: u64) -> Result<()> {
        self.meter.reserve(bytes.saturating_sub(self.bytes))?;
        self.bytes = self.bytes.max(bytes);
        Ok(())
    }

    /// Sets the number of bytes to that of those that are stored.
    fn set(&mut self, bytes: u64) {
        self.meter.reserve_stored(bytes.saturating_sub(self.bytes));
        self.meter.release(self.bytes.saturating_sub(bytes));
        self.bytes = bytes;
    }

    fn keep(mut self) {
        self.meter.store(self.bytes);
        self.bytes = 0;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.meter.release(self.bytes);
    }
}

/// A push of content, until it is [ended](Self::end) or dropped.
struct Storing {
    meter: Arc<dyn Meter>,
    digest: Digest,
    has_ended: bool,
}

impl Storing {
    /// This must be called before anything looks whether the content is stored already.
    fn begin(meter: &Arc<dyn Meter>, content: &Descriptor) -> Self {
        meter.begin(content.digest());
        Self {
            meter: Arc::clone(meter),
            digest: *content.digest(),
            has_ended: false,
        }
    }

    /// Ends a push that has stored the content, and returns whether it counts.
    fn end(mut self, is_new: bool) -> bool {
        self.has_ended = true;
        self.meter.end(&self.digest, is_new)
    }
}

impl Drop for Storing {
    fn drop(&mut self) {
        if !self.has_ended {
            self.meter.end(&self.digest, false);
        }
    }
}

/// A layer that counts the bytes that are stored.
#[derive(Debug, Clone)]
pub(in crate::layers) struct Metered<T> {
    inner: T,
    meter: Arc<dyn Meter>,
    /// Where to look for the blob of an upload, which need not be counted again.
    repository: Option<Arc<dyn Repository>>,
}

impl<T> Metered<T> {
    pub(in crate::layers) fn new(inner: T, meter: Arc<dyn Meter>) -> Self {
        Self {
            inner,
            meter,
            repository: None,
        }
    }
}

impl Metered<Arc<dyn Repository>> {
    pub(super) fn of_repository(inner: Arc<dyn Repository>, meter: Arc<dyn Meter>) -> Self {
        Self {
            repository: Some(Arc::clone(&inner)),
            inner,
            meter,
        }
    }
}

impl<B: Backend> Metered<B> {
    /// Reserves room for `expected`. If there is not enough, that is an error unless the content is stored already:
    /// in that case a push adds nothing.
    async fn reserve(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        found: Option<Presence>,
    ) -> Result<Reserved> {
        let full = match Reserved::new(&self.meter, expected.size()) {
            Ok(reserved) => return Ok(reserved),
            Err(full) => full,
        };
        let found = match found {
            Some(found) => found,
            None => self.inner.find(kind, expected, Access::Push).await?,
        };
        if found == Presence::Whole {
            Ok(Reserved::stored(&self.meter, 0))
        } else {
            Err(full)
        }
    }

    /// An upload that is resumed can be cancelled even if it is over the quota.
    fn upload(&self, inner: Box<dyn Upload>) -> Box<dyn Upload> {
        let reserved = Reserved::stored(&self.meter, inner.offset());
        Box::new(MeteredUpload {
            inner,
            reserved,
            announced: 0,
            repository: self.repository.clone(),
        })
    }
}

/// Counts what a push has stored.
fn settle(storing: Storing, mut reserved: Reserved, expected: &Descriptor, outcome: PushOutcome) {
    if storing.end(outcome == PushOutcome::Pushed) {
        reserved.set(expected.size());
        reserved.keep();
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: Backend> Backend for Metered<B> {
    async fn write(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        let storing = Storing::begin(&self.meter, expected);
        let reserved = self.reserve(kind, expected, options.found).await?;
        let outcome = self.inner.write(kind, expected, source, options).await?;
        settle(storing, reserved, expected, outcome);
        Ok(outcome)
    }

    async fn mount_blob(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<PushOutcome> {
        let storing = Storing::begin(&self.meter, target);
        let counts_mounts = self.meter.counts_mounts();
        let found = match counts_mounts {
            true => Some(
                self.inner
                    .find(ContentKind::Blob, target, Access::Push)
                    .await?,
            ),
            false => None,
        };
        // Without a fallback nothing can be pushed.
        let reserved = match &fallback {
            Some(_) => self.reserve(ContentKind::Blob, target, found).await?,
            None if counts_mounts => self.reserve(ContentKind::Blob, target, found).await?,
            None => Reserved::stored(&self.meter, 0),
        };
        let outcome = self.inner.mount_blob(target, from, fallback).await?;
        let is_new = counts_mounts && found != Some(Presence::Whole);
        match outcome {
            // A registry need not tell whether the repository had the blob.
            PushOutcome::Mounted if is_new => {
                settle(storing, reserved, target, PushOutcome::Pushed);
            }
            _ => settle(storing, reserved, target, outcome),
        }
        Ok(outcome)
    }

    async fn remove(&self, kind: ContentKind, target: &Descriptor) -> Result<()> {
        self.inner.remove(kind, target).await?;
        self.meter.remove(target.size());
        Ok(())
    }

    async fn start_upload(&self) -> Result<Box<dyn Upload>> {
        self.meter.check_room()?;
        Ok(self.upload(self.inner.start_upload().await?))
    }

    async fn resume_upload(&self, id: &UploadId) -> Result<Box<dyn Upload>> {
        Ok(self.upload(self.inner.resume_upload(id).await?))
    }

    fn begin_batch(&self) -> Option<Box<dyn Batch + '_>> {
        let inner = self.inner.begin_batch()?;
        let meter = Arc::clone(&self.meter);
        Some(Box::new(MeteredBatch(Metered::new(inner, meter))))
    }

    forward_backend!(self, self.inner;
        info read stat read_range read_reference direct_url find set_tag remove_tag list_tags list_referrers list_predecessors
        prepare_for_pushes);
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<R: Registry> Registry for Metered<R> {
    fn identity(&self) -> &RegistryIdentity {
        self.inner.identity()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>> {
        let inner = self.inner.repository(name).await?;
        Ok(Arc::new(Metered::new(inner, Arc::clone(&self.meter))))
    }

    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        self.inner.repositories(options)
    }

    async fn expire_uploads(&self, idle: Duration) -> Result<u64> {
        self.inner.expire_uploads(idle).await
    }
}

#[derive(Debug)]
struct MeteredBatch<'a>(Metered<Box<dyn Batch + 'a>>);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Batch for MeteredBatch<'_> {
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

struct MeteredUpload {
    inner: Box<dyn Upload>,
    reserved: Reserved,
    /// The offset up to which bytes are announced.
    announced: u64,
    repository: Option<Arc<dyn Repository>>,
}

/// Returns whether the repository has the blob already, so that storing it adds nothing.
async fn is_present(repository: Option<&dyn Repository>, blob: &Descriptor) -> Result<bool> {
    let Some(repository) = repository else {
        return Ok(false);
    };
    let found = repository.find(ContentKind::Blob, blob, Access::Push);
    Ok(found.await? == Presence::Whole)
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Upload for MeteredUpload {
    fn id(&self) -> &UploadId {
        self.inner.id()
    }

    fn offset(&self) -> u64 {
        self.inner.offset()
    }

    fn reserve(&mut self, bytes: u64) -> Result<()> {
        self.inner.reserve(bytes)?;
        let end = self.inner.offset().saturating_add(bytes);
        self.reserved.grow(end)?;
        self.announced = end;
        Ok(())
    }

    async fn write(&mut self, offset: u64, chunk: Bytes) -> Result<()> {
        let end = self.inner.offset().saturating_add(chunk.len() as u64);
        self.reserved.grow(end)?;
        let written = self.inner.write(offset, chunk).await;
        // A write that fails may have stored a part.
        self.reserved.set(self.inner.offset().max(self.announced));
        written
    }

    async fn pause(&mut self) -> Result<()> {
        self.announced = 0;
        self.reserved.set(self.inner.offset());
        self.inner.pause().await
    }

    async fn commit(self: Box<Self>, expected: &Descriptor) -> Result<()> {
        let Self {
            inner,
            mut reserved,
            repository,
            ..
        } = *self;
        let storing = Storing::begin(&reserved.meter, expected);
        let is_present = is_present(repository.as_deref(), expected).await?;
        reserved.set(inner.offset());
        // A resumed upload has been reserved whatever the limit.
        if !is_present && let Err(full) = reserved.meter.check_limit() {
            inner.cancel().await?;
            return Err(full);
        }
        inner.commit(expected).await?;
        if storing.end(!is_present) {
            reserved.set(expected.size());
            reserved.keep();
        }
        Ok(())
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        self.inner.cancel().await
    }
}
