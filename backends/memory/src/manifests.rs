//! The manifests of one repository, as the core's traits see them.

use std::sync::Arc;

use async_trait::async_trait;
use tranship::{
    ByteRange, Content, Deleter, Descriptor, Error, ErrorKind, Fetcher, Pusher, ReadOnlyStorage,
    ReferenceFetcher, ReferencePusher, Resolver, Result, ResultExt as _, Source, Tag, TagOrDigest,
    Tagger,
};

use crate::blobs::{part, whole};
use crate::lock::{read, write};
use crate::manifest_index::{Entry, ManifestIndex, not_a_manifest};
use crate::receive::receive;
use crate::registry::Handle;
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

    async fn store(&self, expected: &Descriptor, source: &Source<'_>, tags: &[Tag]) -> Result<()> {
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
                return Ok(());
            }
            stored.map(|entry| Arc::clone(&entry.blob))
        };
        let blob = match stored {
            Some(blob) => blob,
            None => self.receive(expected, source).await?,
        };
        let entry = Entry::decode(expected, blob).await?;
        let replaced = {
            let mut index = write(&self.0.contents.manifests);
            let replaced = index.insert(entry);
            set_tags(&mut index, expected, tags);
            replaced
        };
        drop(replaced);
        Ok(())
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

#[async_trait]
impl Fetcher for Manifests {
    async fn fetch(&self, target: &Descriptor) -> Result<Content> {
        self.blob(target)
            .and_then(|blob| whole(target, blob))
            .during("fetch", target.digest())
    }

    async fn fetch_range(&self, target: &Descriptor, range: ByteRange) -> Result<Content> {
        self.blob(target)
            .and_then(|blob| part(target, blob, range))
            .during("fetch", target.digest())
    }
}

#[async_trait]
impl ReadOnlyStorage for Manifests {
    async fn exists(&self, target: &Descriptor) -> Result<bool> {
        Ok(self
            .blob(target)
            .is_ok_and(|blob| blob.size() == target.size()))
    }
}

#[async_trait]
impl Pusher for Manifests {
    async fn push(&self, expected: &Descriptor, source: Source<'_>) -> Result<()> {
        self.push_reference(expected, source, &[]).await
    }
}

#[async_trait]
impl ReferencePusher for Manifests {
    async fn push_reference(
        &self,
        expected: &Descriptor,
        source: Source<'_>,
        tags: &[Tag],
    ) -> Result<()> {
        self.store(expected, &source, tags)
            .await
            .during("push", expected.digest())
    }
}

#[async_trait]
impl Deleter for Manifests {
    async fn delete(&self, target: &Descriptor) -> Result<()> {
        let removed = {
            let mut index = write(&self.0.contents.manifests);
            match index.get(target) {
                Some(entry) if entry.blob.size() == target.size() => index.remove(target.digest()),
                _ => None,
            }
        };
        match removed {
            Some(_) => Ok(()),
            None => Err(Error::not_found(target.digest()).with_operation("delete")),
        }
    }
}

#[async_trait]
impl Resolver for Manifests {
    async fn resolve(&self, reference: &TagOrDigest) -> Result<Descriptor> {
        let (descriptor, _) = self.by_reference(reference).during("resolve", reference)?;
        Ok(descriptor)
    }
}

#[async_trait]
impl Tagger for Manifests {
    async fn tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        let mut index = write(&self.0.contents.manifests);
        let is_there = index
            .get(target)
            .is_some_and(|entry| entry.blob.size() == target.size());
        if is_there && index.tag(target.digest(), tag) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotFound, "there is no such manifest")
            .with_operation("tag")
            .with_subject(target.digest()))
    }
}

#[async_trait]
impl ReferenceFetcher for Manifests {
    async fn fetch_reference(&self, reference: &TagOrDigest) -> Result<Content> {
        let (descriptor, blob) = self.by_reference(reference).during("fetch", reference)?;
        whole(&descriptor, blob)
    }
}
