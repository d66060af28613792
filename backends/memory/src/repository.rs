//! One repository, as the core's traits see it.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use tranship::{
    Access, Backend, ByteRange, Capabilities, Content, ContentKind, Descriptor, Digest, Error,
    ErrorKind, ListOptions, Listing, MediaType, Presence, PushOptions, PushOutcome, RepositoryInfo,
    RepositoryName, Result, Source, Tag, TagOrDigest, Upload, UploadId,
};

use crate::blobs::Blobs;
use crate::contents::{Handle, Shared};
use crate::listing::{page_size, paged};
use crate::lock::{read, write};
use crate::manifests::Manifests;
use crate::options::MemoryOptions;

/// A repository in memory: one of a [`MemoryRegistry`](crate::MemoryRegistry), or one without a registry.
///
/// Clones are the same repository.
///
/// ```
/// use tranship::{Descriptor, MediaType, Pusher, ReadOnlyStorage};
/// use tranship_memory::MemoryRepository;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let repository = MemoryRepository::new();
/// let blob = Descriptor::of(MediaType::OCTET_STREAM, b"hello");
/// repository.push(&blob, b"hello"[..].into()).await?;
/// assert!(repository.exists(&blob).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryRepository {
    handle: Arc<Handle>,
    blobs: Blobs,
    manifests: Manifests,
}

impl MemoryRepository {
    /// An empty repository named `memory`, the only one of a registry of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::with_options(MemoryOptions::default())
    }

    /// The same, with options.
    #[must_use]
    pub fn with_options(options: MemoryOptions) -> Self {
        let name = "memory".parse().expect("letters are a name");
        Self::new_in(Shared::open(&Arc::new(Shared::new(options)), &name))
    }

    pub(crate) fn new_in(handle: Handle) -> Self {
        let handle = Arc::new(handle);
        Self {
            blobs: Blobs(Arc::clone(&handle)),
            manifests: Manifests(Arc::clone(&handle)),
            handle,
        }
    }

    #[cfg(test)]
    pub(crate) fn contents(&self) -> &crate::contents::Contents {
        &self.handle.contents
    }
}

impl Default for MemoryRepository {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRepository")
            .field("registry", &self.handle.shared.identity)
            .field("name", &self.handle.name)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Backend for MemoryRepository {
    fn info(&self) -> RepositoryInfo<'_> {
        RepositoryInfo::new(&self.handle.name, Capabilities::all())
            .with_registry(&self.handle.shared.identity)
    }

    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        match kind {
            ContentKind::Blob => self.blobs.read(target),
            ContentKind::Manifest => self.manifests.read(target),
        }
    }

    async fn read_range(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        match kind {
            ContentKind::Blob => self.blobs.read_range(target, range),
            ContentKind::Manifest => self.manifests.read_range(target, range),
        }
    }

    async fn read_reference(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Content> {
        match kind {
            ContentKind::Blob => self.blobs.read(&self.blobs.stat(reference)?),
            ContentKind::Manifest => self.manifests.read_reference(reference),
        }
    }

    async fn stat(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Descriptor> {
        match kind {
            ContentKind::Blob => self.blobs.stat(reference),
            ContentKind::Manifest => self.manifests.stat(reference),
        }
    }

    async fn find(&self, kind: ContentKind, target: &Descriptor, _: Access) -> Result<Presence> {
        let is_stored = match kind {
            ContentKind::Blob => self.blobs.has(target),
            ContentKind::Manifest => self.manifests.has(target),
        };
        Ok(match is_stored {
            true => Presence::Whole,
            false => Presence::Absent,
        })
    }

    async fn write(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        match kind {
            ContentKind::Blob => self.blobs.write(expected, source).await,
            ContentKind::Manifest => self.manifests.write(expected, &source, options.tags).await,
        }
    }

    async fn mount_blob(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        fallback: Option<Source<'_>>,
    ) -> Result<PushOutcome> {
        self.blobs.mount(target, from, fallback).await
    }

    async fn remove(&self, kind: ContentKind, target: &Descriptor) -> Result<()> {
        match kind {
            ContentKind::Blob => self.blobs.remove(target),
            ContentKind::Manifest => self.manifests.remove(target),
        }
    }

    async fn set_tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        self.manifests.set_tag(target, tag)
    }

    async fn remove_tag(&self, tag: &Tag) -> Result<()> {
        match write(&self.handle.contents.manifests).untag(tag) {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::NotFound, "no such tag")),
        }
    }

    fn list_tags(&self, options: ListOptions) -> Listing<'_, Tag> {
        paged(move |last: Option<&Tag>| {
            let after = match last.map(Tag::as_str).or(options.last.as_deref()) {
                Some(last) => Bound::Excluded(last),
                None => Bound::Unbounded,
            };
            read(&self.handle.contents.manifests)
                .tags_from(after)
                .take(page_size(&options))
                .cloned()
                .collect()
        })
    }

    fn list_referrers<'a>(
        &'a self,
        subject: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Listing<'a, Descriptor> {
        let subject = *subject.digest();
        let artifact_type = artifact_type.cloned();
        paged(move |last: Option<&Descriptor>| {
            let after = last.map_or(Bound::Unbounded, |last| Bound::Excluded(last.digest()));
            let wanted = |referrer: &&Descriptor| {
                artifact_type.is_none() || referrer.artifact_type() == artifact_type.as_ref()
            };
            read(&self.handle.contents.manifests)
                .parents_from(&subject, after)
                .filter(|parent| parent.subject == Some(subject))
                .map(|parent| &parent.description)
                .filter(wanted)
                .take(page_size(&ListOptions::default()))
                .cloned()
                .collect()
        })
    }

    async fn list_predecessors(&self, node: &Descriptor) -> Result<Vec<Descriptor>> {
        Ok(read(&self.handle.contents.manifests)
            .parents_from(node.digest(), Bound::<&Digest>::Unbounded)
            .map(|parent| parent.description.clone())
            .collect())
    }

    async fn start_upload(&self) -> Result<Box<dyn Upload>> {
        Ok(self.blobs.start_upload())
    }

    async fn resume_upload(&self, id: &UploadId) -> Result<Box<dyn Upload>> {
        self.blobs.resume_upload(id)
    }
}
