//! One repository, as the core's traits see it.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use tranship::{
    BlobStore, Capabilities, Descriptor, Digest, Error, ErrorKind, ListOptions, Listing,
    ManifestStore, MediaType, PredecessorFinder, ReferrerLister, RegistryIdentity, Repository,
    RepositoryName, Result, Tag, TagLister, Untagger,
};

use crate::blobs::Blobs;
use crate::listing::{page_size, paged};
use crate::lock::{read, write};
use crate::manifests::Manifests;
use crate::options::MemoryOptions;
use crate::registry::{Handle, MemoryRegistry};

/// A repository in memory: one of a [`MemoryRegistry`], or one that stands alone.
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
        MemoryRegistry::with_options(options).open(&name)
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
    pub(crate) fn contents(&self) -> &crate::registry::Contents {
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

tranship::route_by_media_type!(MemoryRepository);

impl Repository for MemoryRepository {
    fn name(&self) -> &RepositoryName {
        &self.handle.name
    }

    fn registry(&self) -> Option<&RegistryIdentity> {
        Some(&self.handle.shared.identity)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    fn blobs(&self) -> &dyn BlobStore {
        &self.blobs
    }

    fn manifests(&self) -> &dyn ManifestStore {
        &self.manifests
    }
}

#[async_trait]
impl Untagger for MemoryRepository {
    async fn untag(&self, tag: &Tag) -> Result<()> {
        if write(&self.handle.contents.manifests).untag(tag) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotFound, "no such tag")
            .with_operation("untag")
            .with_subject(tag))
    }
}

impl TagLister for MemoryRepository {
    fn tags(&self, options: ListOptions) -> Listing<'_, Tag> {
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
}

impl ReferrerLister for MemoryRepository {
    fn referrers<'a>(
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
}

#[async_trait]
impl PredecessorFinder for MemoryRepository {
    async fn predecessors(&self, node: &Descriptor) -> Result<Vec<Descriptor>> {
        Ok(read(&self.handle.contents.manifests)
            .parents_from(node.digest(), Bound::<&Digest>::Unbounded)
            .map(|parent| parent.description.clone())
            .collect())
    }
}
