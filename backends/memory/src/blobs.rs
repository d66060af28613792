//! The blobs of one repository: references to content in the registry's store.

use std::sync::Arc;

use tranship::{
    ByteRange, Content, Descriptor, Digest, Error, ErrorKind, MediaType, PushOutcome,
    RepositoryName, Result, Source, TagOrDigest,
};

use crate::contents::Handle;
use crate::lock::{read, write};
use crate::receive::receive;
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

    fn stored(&self, digest: &Digest) -> Result<Arc<Blob>> {
        self.get(digest).ok_or_else(|| Error::not_found(digest))
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

impl Blobs {
    pub(crate) fn read(&self, target: &Descriptor) -> Result<Content> {
        whole(target, self.stored(target.digest())?)
    }

    pub(crate) fn read_range(&self, target: &Descriptor, range: ByteRange) -> Result<Content> {
        part(target, self.stored(target.digest())?, range)
    }

    pub(crate) fn stat(&self, reference: &TagOrDigest) -> Result<Descriptor> {
        let digest = reference.digest().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidReference,
                "a blob has no tags, only a digest names it",
            )
        })?;
        let blob = self.stored(digest)?;
        Ok(Descriptor::new(
            MediaType::OCTET_STREAM,
            *digest,
            blob.size(),
        ))
    }

    pub(crate) async fn write(
        &self,
        expected: &Descriptor,
        source: Source<'_>,
    ) -> Result<PushOutcome> {
        // To look again costs nothing here, and another push may have come first.
        if self.has(expected) {
            return Ok(PushOutcome::Present);
        }
        let blob = receive(&self.0.shared.store, expected, &source).await?;
        self.add(*expected.digest(), blob);
        Ok(PushOutcome::Pushed)
    }

    pub(crate) async fn mount(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<PushOutcome> {
        if self.has(target) {
            return Ok(PushOutcome::Mounted);
        }
        let digest = target.digest();
        let found = self.0.shared.blob_of(from, digest);
        if let Some(blob) = found.filter(|blob| blob.size() == target.size()) {
            self.add(*digest, blob);
            return Ok(PushOutcome::Mounted);
        }
        match fallback {
            Some(source) => self.write(target, source).await,
            None => Err(Error::new(
                ErrorKind::NotFound,
                format!("is not in {from} either"),
            )),
        }
    }

    pub(crate) fn remove(&self, target: &Descriptor) -> Result<()> {
        let digest = target.digest();
        let removed = {
            let mut blobs = write(self.0.contents.blobs.of(digest));
            match blobs.get(digest) {
                Some(blob) if blob.size() == target.size() => blobs.remove(digest),
                _ => None,
            }
        };
        // The blob is freed here, and not under the lock.
        removed.map(drop).ok_or_else(|| Error::not_found(digest))
    }
}
