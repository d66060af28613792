//! The blobs of a layout.

use std::fmt;
use std::sync::Arc;

use tranship::{
    ByteRange, Content, Descriptor, Digest, Error, ErrorKind, MediaType, Presence, PushOptions,
    PushOutcome, RepositoryName, Result, Source, TagOrDigest,
};

use crate::siblings::Siblings;
use crate::store::Store;

pub(crate) struct Blobs {
    store: Arc<Store>,
    siblings: Option<Siblings>,
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
    pub(crate) async fn has(&self, target: &Descriptor) -> Result<bool> {
        let is_there = self.size(target.digest()).await? == Some(target.size());
        if is_there {
            self.store.rely_on_found(target.digest(), target.size());
        }
        Ok(is_there)
    }

    pub(crate) async fn read(
        &self,
        target: &Descriptor,
        range: Option<ByteRange>,
    ) -> Result<Content> {
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

    pub(crate) async fn write(
        &self,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        let is_missing = matches!(options.found, Some(Presence::Absent | Presence::OtherSize));
        // A blob of another size was cut short by another program, and is replaced.
        if !is_missing && self.has(expected).await? {
            self.store
                .secure(expected.digest(), expected.size())
                .await?;
            return Ok(PushOutcome::Present);
        }
        let driver = self.store.driver().await?;
        match options.resumable {
            true => driver.put_blob_resumable(expected, source).await?,
            false => driver.put_blob(expected, source).await?,
        }
        self.store.rely_on(expected.digest(), expected.size());
        Ok(PushOutcome::Pushed)
    }

    pub(crate) async fn remove(&self, target: &Descriptor) -> Result<()> {
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

    pub(crate) async fn stat(&self, reference: &TagOrDigest) -> Result<Descriptor> {
        let TagOrDigest::Digest(digest) = reference else {
            let why = "a blob has no tags, only a digest names it";
            return Err(Error::new(ErrorKind::InvalidReference, why).with_subject(reference));
        };
        let size = self.size(digest).await?;
        let size = size.ok_or_else(|| Error::not_found(digest))?;
        Ok(Descriptor::new(MediaType::OCTET_STREAM, *digest, size))
    }

    pub(crate) async fn mount(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<PushOutcome> {
        if self.has(target).await? {
            self.store.secure(target.digest(), target.size()).await?;
            return Ok(PushOutcome::Mounted);
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
                Ok(PushOutcome::Mounted)
            }
            (_, Some(fallback)) => {
                let options = PushOptions::default().with_found(Presence::Absent);
                self.write(target, fallback, &options).await
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
