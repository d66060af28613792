//! The blobs of a layout.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tranship::{
    BlobStore, ByteRange, Content, Deleter, Descriptor, Digest, Error, ErrorKind, Fetcher,
    MediaType, MountOutcome, Mounter, Presence, PushOptions, Pusher, ReadOnlyStorage,
    ReferenceFetcher, RepositoryName, Resolver, Result, ResultExt as _, Source, TagOrDigest,
    Upload, UploadId, Uploader,
};

use crate::driver::{Driver, RegistryDriver};
use crate::store::Store;

pub(crate) struct Blobs {
    store: Arc<Store>,
    siblings: Option<Siblings>,
}

/// The layouts of the same registry.
#[derive(Clone)]
pub(crate) struct Siblings {
    registry: Arc<dyn RegistryDriver>,
    /// That which was mounted from last: all blobs of an image come from one.
    last: Arc<Mutex<Last>>,
}

type Last = Option<(RepositoryName, Arc<dyn Driver>)>;

impl Siblings {
    pub(crate) fn new(registry: Arc<dyn RegistryDriver>) -> Self {
        Self {
            registry,
            last: Arc::default(),
        }
    }

    async fn mount(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        to: &dyn Driver,
    ) -> Result<bool> {
        let from = self.driver(from).await?;
        self.registry.mount(target, &*from, to).await
    }

    async fn driver(&self, name: &RepositoryName) -> Result<Arc<dyn Driver>> {
        if let Some((last, driver)) = &*self.lock_last()
            && last == name
        {
            return Ok(Arc::clone(driver));
        }
        let driver = self.registry.layout(name).await?;
        *self.lock_last() = Some((name.clone(), Arc::clone(&driver)));
        Ok(driver)
    }

    fn lock_last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Blobs {
    pub(crate) fn new(store: Arc<Store>, siblings: Option<Siblings>) -> Self {
        Self { store, siblings }
    }

    pub(crate) fn siblings(&self) -> Option<&Siblings> {
        self.siblings.as_ref()
    }

    async fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        self.store.driver().await?.blob_size(digest).await
    }

    /// Whether the blob is there. A batch may go on that.
    async fn has(&self, target: &Descriptor) -> Result<bool> {
        let is_there = self.size(target.digest()).await? == Some(target.size());
        if is_there {
            self.store.rely_on_found(target.digest(), target.size());
        }
        Ok(is_there)
    }

    async fn try_fetch(&self, target: &Descriptor, range: Option<ByteRange>) -> Result<Content> {
        let driver = self.store.driver().await?;
        match range {
            None => {
                let body = driver.open_blob(target, 0..target.size()).await?;
                Ok(Content::new(target.clone(), body))
            }
            Some(range) => {
                let range = range.resolve(target.size())?;
                let body = driver.open_blob(target, range.clone()).await?;
                Ok(Content::partial(target.clone(), range, body))
            }
        }
    }

    async fn try_push(
        &self,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions,
    ) -> Result<MountOutcome> {
        let is_missing = matches!(options.found, Some(Presence::Absent | Presence::OtherSize));
        // A blob of another size was cut short by another program, and is replaced.
        if !is_missing && self.has(expected).await? {
            self.store
                .secure(expected.digest(), expected.size())
                .await?;
            return Ok(MountOutcome::Present);
        }
        let driver = self.store.driver().await?;
        match options.resumable {
            true => driver.put_blob_resumable(expected, source).await?,
            false => driver.put_blob(expected, source).await?,
        }
        self.store.rely_on(expected.digest(), expected.size());
        Ok(MountOutcome::Pushed)
    }

    async fn try_delete(&self, target: &Descriptor) -> Result<()> {
        self.store.check_removal()?;
        let digest = target.digest();
        if self.size(digest).await? != Some(target.size()) {
            return Err(Error::not_found(digest));
        }
        if self.store.index().await?.listed(digest).is_some() {
            return Err(
                Error::new(ErrorKind::NotFound, "this is a manifest, not a blob")
                    .with_subject(digest)
                    .with_hint("delete it as a manifest, which removes its tags too"),
            );
        }
        if self.store.driver().await?.delete_blob(digest).await? {
            Ok(())
        } else {
            Err(Error::not_found(digest))
        }
    }

    async fn try_resolve(&self, reference: &TagOrDigest) -> Result<Descriptor> {
        let TagOrDigest::Digest(digest) = reference else {
            let why = "a blob has no tags, only a digest names it";
            return Err(Error::new(ErrorKind::InvalidReference, why).with_subject(reference));
        };
        let size = self.size(digest).await?;
        let size = size.ok_or_else(|| Error::not_found(digest))?;
        Ok(Descriptor::new(MediaType::OCTET_STREAM, *digest, size))
    }

    async fn try_mount(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<MountOutcome> {
        if self.has(target).await? {
            self.store.secure(target.digest(), target.size()).await?;
            return Ok(MountOutcome::Mounted);
        }
        let mounted = match &self.siblings {
            Some(siblings) => {
                let to = self.store.driver().await?;
                siblings.mount(target, from, to).await
            }
            None => Ok(false),
        };
        match (mounted, fallback) {
            (Ok(true), _) => {
                self.store.rely_on(target.digest(), target.size());
                Ok(MountOutcome::Mounted)
            }
            (_, Some(fallback)) => {
                let options = PushOptions::default().with_found(Presence::Absent);
                self.try_push(target, fallback, &options).await
            }
            (Ok(false), None) => Err(Error::not_found(format_args!(
                "{} in {from}",
                target.digest()
            ))),
            (Err(error), None) => Err(error),
        }
    }
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blobs").finish_non_exhaustive()
    }
}

#[async_trait]
impl Fetcher for Blobs {
    async fn fetch(&self, target: &Descriptor) -> Result<Content> {
        self.try_fetch(target, None)
            .await
            .during("fetch", target.digest())
    }

    async fn fetch_range(&self, target: &Descriptor, range: ByteRange) -> Result<Content> {
        self.try_fetch(target, Some(range))
            .await
            .during("fetch", target.digest())
    }
}

#[async_trait]
impl ReadOnlyStorage for Blobs {
    async fn exists(&self, target: &Descriptor) -> Result<bool> {
        self.has(target).await.during("look for", target.digest())
    }
}

#[async_trait]
impl Pusher for Blobs {
    async fn push(&self, expected: &Descriptor, source: Source<'_>) -> Result<()> {
        self.push_with(expected, source, &PushOptions::default())
            .await
            .map(|_| ())
    }
}

#[async_trait]
impl Deleter for Blobs {
    async fn delete(&self, target: &Descriptor) -> Result<()> {
        self.try_delete(target)
            .await
            .during("delete", target.digest())
    }
}

#[async_trait]
impl Resolver for Blobs {
    async fn resolve(&self, reference: &TagOrDigest) -> Result<Descriptor> {
        self.try_resolve(reference)
            .await
            .during("resolve", reference)
    }
}

#[async_trait]
impl ReferenceFetcher for Blobs {
    async fn fetch_reference(&self, reference: &TagOrDigest) -> Result<Content> {
        let target = self.try_resolve(reference).await;
        self.fetch(&target.during("fetch", reference)?).await
    }
}

#[async_trait]
impl Mounter for Blobs {
    async fn mount(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<MountOutcome> {
        self.try_mount(target, from, fallback)
            .await
            .during("mount", target.digest())
    }
}

#[async_trait]
impl Uploader for Blobs {
    async fn start(&self) -> Result<Box<dyn Upload>> {
        self.store.driver().await?.start_upload().await
    }

    async fn resume(&self, id: &UploadId) -> Result<Box<dyn Upload>> {
        self.store.driver().await?.resume_upload(id).await
    }
}

#[async_trait]
impl BlobStore for Blobs {
    fn mounter(&self) -> Option<&dyn Mounter> {
        self.siblings.is_some().then_some(self)
    }

    fn uploader(&self) -> Option<&dyn Uploader> {
        let is_possible = self.store.capabilities().uploads.is_possible();
        is_possible.then_some(self)
    }

    async fn push_with(
        &self,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions,
    ) -> Result<MountOutcome> {
        self.try_push(expected, source, options)
            .await
            .during("push", expected.digest())
    }
}
