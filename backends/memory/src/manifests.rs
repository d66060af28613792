//! The manifests of one repository, as the core's traits see them.

use std::sync::Arc;

use tranship::{
    ByteRange, Content, Descriptor, Error, ErrorKind, PushOutcome, Result, Source, Tag, TagOrDigest,
};

use crate::blobs::{part, whole};
use crate::contents::Handle;
use crate::lock::{read, write};
use crate::manifest_index::{Entry, ManifestIndex, not_a_manifest};
use crate::receive::receive;
use crate::store::Blob;

#[derive(Debug, Clone)]
pub(crate) struct Manifests(pub(crate) Arc<Handle>);

impl Manifests {
    fn blob(&self, target: &Descriptor) -> Result<Arc<Blob>> {
        read(&self.0.contents.manifests)
            .get(target)
            .map(|entry| Arc::clone(&entry.blob))
            .ok_or_else(|| Error::not_found(target.digest()))
    }

    fn by_reference(&self, reference: &TagOrDigest) -> Result<(Descriptor, Arc<Blob>)> {
        read(&self.0.contents.manifests)
            .resolve(reference)
            .map(|entry| (entry.description.plain(), Arc::clone(&entry.blob)))
            .ok_or_else(|| Error::not_found(reference))
    }

    pub(crate) async fn write(
        &self,
        expected: &Descriptor,
        source: &Source<'_>,
        tags: &[Tag],
    ) -> Result<PushOutcome> {
        if !expected.media_type().is_manifest() {
            return Err(not_a_manifest(expected));
        }
        let stored = {
            let mut index = write(&self.0.contents.manifests);
            let stored = index
                .get(expected)
                .filter(|entry| entry.blob.size() == expected.size());
            if stored.is_some_and(|entry| entry.description.media_type() == expected.media_type()) {
                set_tags(&mut index, expected, tags);
                return Ok(PushOutcome::Present);
            }
            stored.map(|entry| Arc::clone(&entry.blob))
        };
        let (blob, outcome) = match stored {
            Some(blob) => (blob, PushOutcome::Present),
            None => (self.receive(expected, source).await?, PushOutcome::Pushed),
        };
        let entry = Entry::decode(expected, blob).await?;
        let replaced = {
            let mut index = write(&self.0.contents.manifests);
            let replaced = index.insert(entry);
            set_tags(&mut index, expected, tags);
            replaced
        };
        drop(replaced);
        Ok(outcome)
    }

    async fn receive(&self, expected: &Descriptor, source: &Source<'_>) -> Result<Arc<Blob>> {
        let limit = self.0.shared.options.max_manifest_size;
        if expected.size() > limit {
            return Err(Error::new(
                ErrorKind::SizeExceedsLimit,
                format!(
                    "the manifest has {} bytes, more than the limit of {limit}",
                    expected.size()
                ),
            ));
        }
        receive(&self.0.shared.store, expected, source).await
    }
}

fn set_tags(index: &mut ManifestIndex, target: &Descriptor, tags: &[Tag]) {
    for tag in tags {
        index.tag(target.digest(), tag);
    }
}

impl Manifests {
    pub(crate) fn read(&self, target: &Descriptor) -> Result<Content> {
        whole(target, self.blob(target)?)
    }

    pub(crate) fn read_range(&self, target: &Descriptor, range: ByteRange) -> Result<Content> {
        part(target, self.blob(target)?, range)
    }

    pub(crate) fn read_reference(&self, reference: &TagOrDigest) -> Result<Content> {
        let (descriptor, blob) = self.by_reference(reference)?;
        whole(&descriptor, blob)
    }

    pub(crate) fn stat(&self, reference: &TagOrDigest) -> Result<Descriptor> {
        Ok(self.by_reference(reference)?.0)
    }

    pub(crate) fn has(&self, target: &Descriptor) -> bool {
        self.blob(target)
            .is_ok_and(|blob| blob.size() == target.size())
    }

    pub(crate) fn remove(&self, target: &Descriptor) -> Result<()> {
        let digest = target.digest();
        let removed = {
            let mut index = write(&self.0.contents.manifests);
            match index.get(target) {
                Some(entry) if entry.blob.size() == target.size() => index.remove(digest),
                _ => None,
            }
        };
        // The manifest is freed here, and not under the lock.
        removed.map(drop).ok_or_else(|| Error::not_found(digest))
    }

    pub(crate) fn set_tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        let mut index = write(&self.0.contents.manifests);
        let is_stored = index
            .get(target)
            .is_some_and(|entry| entry.blob.size() == target.size());
        if is_stored && index.tag(target.digest(), tag) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotFound, "there is no such manifest"))
    }
}
