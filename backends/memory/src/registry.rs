//! The registry: repositories by name, over one store.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use tranship::{
    Capabilities, ListOptions, Listing, Registry, RegistryIdentity, Repository, RepositoryName,
    Result,
};

use crate::contents::Shared;
use crate::listing::{page_size, paged};
use crate::lock::read;
use crate::options::MemoryOptions;
use crate::repository::MemoryRepository;

/// A registry that lives in this process and ends with its last clone, repository and upload.
///
/// Clones are the same registry. The repositories share one store, so that a mount moves no bytes
/// and content counts once however many of them hold it.
///
/// ```
/// use tranship::{Descriptor, MediaType, Pusher, Registry};
/// use tranship_memory::MemoryRegistry;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let registry = MemoryRegistry::new();
/// let repository = registry.repository(&"library/app".parse()?).await?;
///
/// let layer = Descriptor::of(MediaType::IMAGE_LAYER, b"hello");
/// repository.push(&layer, b"hello"[..].into()).await?;
/// assert_eq!(repository.fetch(&layer).await?.bytes(1024).await?, "hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryRegistry {
    shared: Arc<Shared>,
}

impl MemoryRegistry {
    /// An empty registry without a quota.
    #[must_use]
    pub fn new() -> Self {
        Self::with_options(MemoryOptions::default())
    }

    /// An empty registry.
    #[must_use]
    pub fn with_options(options: MemoryOptions) -> Self {
        Self {
            shared: Arc::new(Shared::new(options)),
        }
    }

    /// The repository `name`, as [`Registry::repository`] answers it, but without waiting, and as a
    /// type of its own.
    #[must_use]
    pub fn open(&self, name: &RepositoryName) -> MemoryRepository {
        MemoryRepository::new_in(Shared::open(&self.shared, name))
    }

    /// How many bytes count against [`MemoryOptions::quota`], whether or not there is one.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.shared.store.quota().used()
    }
}

impl Default for MemoryRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRegistry")
            .field("identity", &self.shared.identity)
            .field("options", &self.shared.options)
            .field("stored_bytes", &self.stored_bytes())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Registry for MemoryRegistry {
    fn identity(&self) -> &RegistryIdentity {
        &self.shared.identity
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        paged(move |last: Option<&RepositoryName>| {
            let after = match last.map(RepositoryName::as_str).or(options.last.as_deref()) {
                Some(last) => Bound::Excluded(last),
                None => Bound::Unbounded,
            };
            read(&self.shared.repositories)
                .range::<str, _>((after, Bound::Unbounded))
                .filter(|(_, contents)| !contents.is_empty())
                .map(|(name, _)| name.clone())
                .take(page_size(&options))
                .collect()
        })
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>> {
        Ok(Arc::new(self.open(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest_index::ManifestIndex;
    use tranship::prelude::*;
    use tranship::{Descriptor, Index, MediaType, encode_json};

    #[tokio::test]
    async fn nothing_remains_of_what_is_gone() -> Result<()> {
        let registry = MemoryRegistry::new();
        let repository = registry.open(&"a".parse()?);
        let layer = Descriptor::of(MediaType::IMAGE_LAYER, b"layer");
        let content = encode_json(&Index::new(vec![layer.clone()]))?;
        let index = Descriptor::of(MediaType::IMAGE_INDEX, &content);
        repository.push(&layer, b"layer"[..].into()).await?;
        repository.push(&index, content.into()).await?;
        repository.blobs().start().await?.cancel().await?;

        repository.delete(&layer).await?;
        repository.delete(&index).await?;
        assert!(registry.shared.store.is_empty());
        let untouched = ManifestIndex::default();
        let index = format!("{:?}", read(&repository.contents().manifests));
        assert_eq!(index, format!("{untouched:?}"));
        drop(repository);
        drop(registry.open(&"b".parse()?));
        assert!(read(&registry.shared.repositories).is_empty());
        Ok(())
    }
}
