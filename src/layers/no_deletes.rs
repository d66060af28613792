//! Refuses to delete.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::*;

const REASON: &str = "it does not delete anything";

/// A repository or registry in which nothing can be deleted, and no tag removed. Tags can be moved; see
/// [`ImmutableTags`](super::ImmutableTags) for a layer that keeps them.
///
/// Deletions fail with [`Unsupported`](ErrorKind::Unsupported).
///
/// ```
/// use tranship::layers::NoDeletes;
/// use tranship::prelude::*;
/// # use tranship::MediaType;
/// # use tranship_memory::MemoryRepository;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let repository = NoDeletes::new(MemoryRepository::new());
/// let blob = tranship::push_bytes(&repository, MediaType::OCTET_STREAM, "kept").await?;
/// assert!(repository.delete(&blob).await.unwrap_err().is_unsupported());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct NoDeletes<T>(T);

impl<T> NoDeletes<T> {
    /// Keeps everything that `inner`, a backend or a registry, has.
    pub fn new(inner: T) -> Self {
        Self(inner)
    }
}

fn restrict(capabilities: Capabilities) -> Capabilities {
    let refused = Support::No(REASON);
    capabilities
        .with_delete_blobs(refused)
        .with_delete_manifests(refused)
        .with_untag(refused)
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: Backend> Backend for NoDeletes<B> {
    fn info(&self) -> RepositoryInfo<'_> {
        let info = self.0.info();
        let capabilities = restrict(info.capabilities);
        info.with_capabilities(capabilities)
    }

    async fn remove(&self, _: ContentKind, _: &Descriptor) -> Result<()> {
        Err(Error::unsupported(REASON))
    }

    async fn remove_tag(&self, _: &Tag) -> Result<()> {
        Err(Error::unsupported(REASON))
    }

    fn begin_batch(&self) -> Option<Box<dyn Batch + '_>> {
        let batch = NoDeletes(self.0.begin_batch()?);
        Some(Box::new(NoDeletesBatch(batch)))
    }

    forward_backend!(self, self.0;
        read read_range read_reference direct_url stat find write mount_blob set_tag list_tags list_referrers
        list_predecessors start_upload resume_upload prepare_for_pushes);
}

#[derive(Debug)]
struct NoDeletesBatch<'a>(NoDeletes<Box<dyn Batch + 'a>>);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Batch for NoDeletesBatch<'_> {
    fn backend(&self) -> &dyn Backend {
        &self.0
    }

    fn concurrency(&self) -> Option<usize> {
        self.0.0.concurrency()
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.0.0.commit().await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<R: Registry> Registry for NoDeletes<R> {
    fn identity(&self) -> &RegistryIdentity {
        self.0.identity()
    }

    fn capabilities(&self) -> Capabilities {
        restrict(self.0.capabilities())
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>> {
        Ok(Arc::new(NoDeletes(self.0.repository(name).await?)))
    }

    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        self.0.repositories(options)
    }

    async fn expire_uploads(&self, idle: Duration) -> Result<u64> {
        self.0.expire_uploads(idle).await
    }
}
