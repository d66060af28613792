//! The blobs of one repository: references to content in the registry's store.

use std::sync::Arc;

use async_trait::async_trait;
use tranship::{
    BlobStore, ByteRange, Content, Deleter, Descriptor, Digest, Error, ErrorKind, Fetcher,
    MediaType, MountOutcome, Mounter, Presence, PushOptions, Pusher, ReadOnlyStorage,
    ReferenceFetcher, RepositoryName, Resolver, Result, ResultExt as _, Source, TagOrDigest,
    Uploader,
};

use crate::lock::{read, write};
use crate::receive::receive;
use crate::registry::Handle;
use crate::store::{Blob, Buffer};

#[derive(Debug, Clone)]
pub(crate) struct Blobs(pub(crate) Arc<Handle>);

impl Blobs {
    fn get(&self, digest: &Digest) -> Option<Arc<Blob>> {
        read(self.0.contents.blobs.of(digest)).get(digest).cloned()
    }

    pub(crate) fn has(&self, target: &Descriptor) -> bool {
        self.get(target.digest())
            .is_some_and(|blob| blob.size() == target.size())
    }

    pub(crate) fn new_buffer(&self) -> Buffer {
        self.0.shared.store.buffer()
    }

    pub(crate) fn add(&self, digest: Digest, blob: Arc<Blob>) {
        // What is replaced is the same content; it must not be let go under the lock.
        let replaced = write(self.0.contents.blobs.of(&digest)).insert(digest, blob);
        drop(replaced);
    }

    fn by_reference(&self, reference: &TagOrDigest) -> Result<(Descriptor, Arc<Blob>)> {
        let digest = reference.digest().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidReference,
                "a blob has no tags, only a digest names it",
            )
        })?;
        let blob = self.get(digest).ok_or_else(|| Error::not_found(digest))?;
        let descriptor = Descriptor::new(MediaType::OCTET_STREAM, *digest, blob.size());
        Ok((descriptor, blob))
    }
}

/// The whole content of `target`, which `blob` is, unless its size says otherwise.
pub(crate) fn whole(target: &Descriptor, blob: Arc<Blob>) -> Result<Content> {
    check_size(target, &blob)?;
    let body = blob.body(0..target.size());
    Ok(Content::new(target.clone(), body))
}

/// A part of the content of `target`, which `blob` is, unless its size says otherwise.
pub(crate) fn part(target: &Descriptor, blob: Arc<Blob>, range: ByteRange) -> Result<Content> {
    check_size(target, &blob)?;
    let range = range.resolve(target.size())?;
    let body = blob.body(range.clone());
    Ok(Content::partial(target.clone(), range, body))
}

fn check_size(target: &Descriptor, blob: &Blob) -> Result<()> {
    if blob.size() == target.size() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::SizeMismatch,
        format!(
            "the content has {} bytes, {} were expected",
            blob.size(),
            target.size()
        ),
    ))
}

#[async_trait]
impl Fetcher for Blobs {
    async fn fetch(&self, target: &Descriptor) -> Result<Content> {
        self.get(target.digest())
            .ok_or_else(|| Error::not_found(target.digest()))
            .and_then(|blob| whole(target, blob))
            .during("fetch", target.digest())
    }

    async fn fetch_range(&self, target: &Descriptor, range: ByteRange) -> Result<Content> {
        self.get(target.digest())
            .ok_or_else(|| Error::not_found(target.digest()))
            .and_then(|blob| part(target, blob, range))
            .during("fetch", target.digest())
    }
}

#[async_trait]
impl ReadOnlyStorage for Blobs {
    async fn exists(&self, target: &Descriptor) -> Result<bool> {
        Ok(self.has(target))
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
        let digest = target.digest();
        let removed = {
            let mut blobs = write(self.0.contents.blobs.of(digest));
            match blobs.get(digest) {
                Some(blob) if blob.size() == target.size() => blobs.remove(digest),
                _ => None,
            }
        };
        match removed {
            Some(_) => Ok(()),
            None => Err(Error::not_found(digest).with_operation("delete")),
        }
    }
}

#[async_trait]
impl Resolver for Blobs {
    async fn resolve(&self, reference: &TagOrDigest) -> Result<Descriptor> {
        let (descriptor, _) = self.by_reference(reference).during("resolve", reference)?;
        Ok(descriptor)
    }
}

#[async_trait]
impl ReferenceFetcher for Blobs {
    async fn fetch_reference(&self, reference: &TagOrDigest) -> Result<Content> {
        let (descriptor, blob) = self.by_reference(reference).during("fetch", reference)?;
        whole(&descriptor, blob)
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
        if self.has(target) {
            return Ok(MountOutcome::Mounted);
        }
        let digest = target.digest();
        let there = self.0.shared.blob_of(from, digest);
        if let Some(blob) = there.filter(|blob| blob.size() == target.size()) {
            self.add(*digest, blob);
            return Ok(MountOutcome::Mounted);
        }
        match fallback {
            Some(source) => {
                let options = PushOptions::default().with_found(Presence::Absent);
                self.push_with(target, source, &options).await
            }
            None => Err(
                Error::new(ErrorKind::NotFound, format!("is not in {from} either"))
                    .with_operation("mount")
                    .with_subject(digest),
            ),
        }
    }
}

#[async_trait]
impl BlobStore for Blobs {
    fn mounter(&self) -> Option<&dyn Mounter> {
        Some(self)
    }

    fn uploader(&self) -> Option<&dyn Uploader> {
        Some(self)
    }

    async fn push_with(
        &self,
        expected: &Descriptor,
        source: Source<'_>,
        _: &PushOptions,
    ) -> Result<MountOutcome> {
        // Looking costs nothing here, and another push may have come first.
        if self.has(expected) {
            return Ok(MountOutcome::Present);
        }
        let blob = receive(&self.0.shared.store, expected, &source)
            .await
            .during("push", expected.digest())?;
        self.add(*expected.digest(), blob);
        Ok(MountOutcome::Pushed)
    }
}
