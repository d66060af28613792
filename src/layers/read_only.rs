//! Refuses every change.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::*;

const REASON: &str = "it is read-only";

/// A repository or registry that can be read and not changed.
///
/// Pushes, mounts, deletions, tags and uploads fail with [`Unsupported`](ErrorKind::Unsupported).
///
/// ```
/// use tranship::layers::ReadOnly;
/// use tranship::prelude::*;
/// # use tranship_memory::MemoryRepository;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let repository = ReadOnly::new(MemoryRepository::new());
/// let pushed = tranship::push_bytes(&repository, tranship::MediaType::OCTET_STREAM, "x").await;
/// assert!(pushed.unwrap_err().is_unsupported());
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ReadOnly<T>(T);

impl<T> ReadOnly<T> {
    /// Makes `inner`, a backend or a registry, read-only.
    pub fn new(inner: T) -> Self {
        Self(inner)
    }
}

fn restrict(capabilities: Capabilities) -> Capabilities {
    let refused = Support::No(REASON);
    capabilities
        .with_push(refused)
        .with_mount(refused)
        .with_uploads(refused)
        .with_delete_blobs(refused)
        .with_delete_manifests(refused)
        .with_untag(refused)
}

fn refuse<T>() -> Result<T> {
    Err(Error::unsupported(REASON))
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: Backend> Backend for ReadOnly<B> {
    fn info(&self) -> RepositoryInfo<'_> {
        let info = self.0.info();
        let capabilities = restrict(info.capabilities);
        info.with_capabilities(capabilities)
    }

    async fn write(
        &self,
        _: ContentKind,
        _: &Descriptor,
        _: Source<'_>,
        _: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        refuse()
    }

    async fn mount_blob(
        &self,
        _: &Descriptor,
        _: &RepositoryName,
        _: Option<Source<'_>>,
    ) -> Result<PushOutcome> {
        refuse()
    }

    async fn remove(&self, _: ContentKind, _: &Descriptor) -> Result<()> {
        refuse()
    }

    async fn set_tag(&self, _: &Descriptor, _: &Tag) -> Result<()> {
        refuse()
    }

    async fn remove_tag(&self, _: &Tag) -> Result<()> {
        refuse()
    }

    async fn start_upload(&self) -> Result<Box<dyn Upload>> {
        refuse()
    }

    async fn resume_upload(&self, _: &UploadId) -> Result<Box<dyn Upload>> {
        refuse()
    }

    fn begin_batch(&self) -> Option<Box<dyn Batch + '_>> {
        None
    }

    fn prepare_for_pushes(&self) {}

    forward_backend!(self, self.0;
        read read_range read_reference direct_url stat find list_tags list_referrers list_predecessors);
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<R: Registry> Registry for ReadOnly<R> {
    fn identity(&self) -> &RegistryIdentity {
        self.0.identity()
    }

    fn capabilities(&self) -> Capabilities {
        restrict(self.0.capabilities())
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>> {
        Ok(Arc::new(ReadOnly(self.0.repository(name).await?)))
    }

    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        self.0.repositories(options)
    }

    async fn expire_uploads(&self, _: Duration) -> Result<u64> {
        Ok(0)
    }
}
