//! The registry: repositories by name, over one store.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use async_trait::async_trait;
use tranship::{
    Capabilities, ListOptions, Listing, Registry, RegistryIdentity, Repository, RepositoryName,
    Result,
};

use crate::listing::{page_size, paged};
use crate::lock::{lock, read, write};
use crate::manifest_index::ManifestIndex;
use crate::options::MemoryOptions;
use crate::repository::MemoryRepository;
use crate::store::{Blob, Shards, Store};
use crate::upload::Sessions;

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
        static REGISTRIES: AtomicU64 = AtomicU64::new(0);
        let number = REGISTRIES.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::new(Shared {
                identity: RegistryIdentity::new(format!("memory:{number}")),
                store: Store::new(options.quota),
                options,
                repositories: RwLock::default(),
            }),
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

/// What the repositories of a registry have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) identity: RegistryIdentity,
    pub(crate) options: MemoryOptions,
    pub(crate) store: Arc<Store>,
    // Holds repositories with content, with uploads, or in somebody's hands; no others, so that
    // asking for names that do not exist fills no memory.
    repositories: RwLock<BTreeMap<RepositoryName, Arc<Contents>>>,
}

impl Shared {
    fn open(this: &Arc<Self>, name: &RepositoryName) -> Handle {
        let handle = |contents: &Arc<Contents>| {
            contents.handles.fetch_add(1, Ordering::Relaxed);
            Handle {
                shared: Arc::clone(this),
                contents: Arc::clone(contents),
                name: name.clone(),
            }
        };
        if let Some(contents) = read(&this.repositories).get(name) {
            return handle(contents);
        }
        let mut repositories = write(&this.repositories);
        handle(repositories.entry(name.clone()).or_default())
    }

    /// The blob of another repository, if it has it.
    pub(crate) fn blob_of(
        &self,
        name: &RepositoryName,
        digest: &tranship::Digest,
    ) -> Option<Arc<Blob>> {
        let contents = read(&self.repositories).get(name).cloned()?;
        read(contents.blobs.of(digest)).get(digest).cloned()
    }
}

/// What one repository holds.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) blobs: Shards<Arc<Blob>>,
    pub(crate) manifests: RwLock<ManifestIndex>,
    pub(crate) uploads: Mutex<Sessions>,
    handles: AtomicUsize,
}

impl Contents {
    fn is_empty(&self) -> bool {
        read(&self.manifests).is_empty() && self.blobs.is_empty()
    }

    fn is_unused(&self) -> bool {
        self.handles.load(Ordering::Relaxed) == 0
            && self.is_empty()
            && lock(&self.uploads).is_empty()
    }
}

impl Default for Contents {
    fn default() -> Self {
        Self {
            blobs: Shards::new(),
            manifests: RwLock::default(),
            uploads: Mutex::default(),
            handles: AtomicUsize::new(0),
        }
    }
}

/// A repository in somebody's hands: while there is one, its contents stay in the registry, even
/// empty. All changes go through a handle.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) contents: Arc<Contents>,
    pub(crate) name: RepositoryName,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let was_last = self.contents.handles.fetch_sub(1, Ordering::Relaxed) == 1;
        if !was_last || !self.contents.is_unused() {
            return;
        }
        // Handles are made under this lock, so what is unused under it stays so.
        let mut repositories = write(&self.shared.repositories);
        let is_listed = repositories
            .get(&self.name)
            .is_some_and(|listed| Arc::ptr_eq(listed, &self.contents));
        if is_listed && self.contents.is_unused() {
            repositories.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
