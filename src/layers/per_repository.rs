//! Wraps each repository of a registry as its name demands.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::*;

/// A registry whose repositories are wrapped by a function of their name, for example in other layers.
///
/// The function is called whenever a repository is opened, so what the layers of one repository share between calls,
/// such as a limit, must be made before.
///
/// ```
/// use std::sync::Arc;
/// use tranship::layers::{PerRepository, ReadOnly};
/// use tranship::prelude::*;
/// # use tranship::MediaType;
/// # use tranship_memory::MemoryRegistry;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let registry = PerRepository::new(MemoryRegistry::new(), |name, repository| {
///     match name.as_str().starts_with("archive/") {
///         true => Arc::new(ReadOnly::new(repository)),
///         false => repository,
///     }
/// });
/// let archive = registry.repository(&"archive/app".parse()?).await?;
/// let refused = tranship::push_bytes(&*archive, MediaType::OCTET_STREAM, "new").await;
/// assert!(refused.is_err());
/// # Ok(())
/// # }
/// ```
pub struct PerRepository<R, F> {
    inner: R,
    wrap: F,
}

impl<R, F> PerRepository<R, F>
where
    F: Fn(&RepositoryName, Arc<dyn Repository>) -> Arc<dyn Repository> + Send + Sync,
{
    /// Wraps each repository of `inner` with `wrap`.
    pub fn new(inner: R, wrap: F) -> Self {
        Self { inner, wrap }
    }
}

impl<R: fmt::Debug, F> fmt::Debug for PerRepository<R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PerRepository").field(&self.inner).finish()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<R: Registry, F> Registry for PerRepository<R, F>
where
    F: Fn(&RepositoryName, Arc<dyn Repository>) -> Arc<dyn Repository> + Send + Sync,
{
    fn identity(&self) -> &RegistryIdentity {
        self.inner.identity()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>> {
        Ok((self.wrap)(name, self.inner.repository(name).await?))
    }

    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        self.inner.repositories(options)
    }

    async fn expire_uploads(&self, idle: Duration) -> Result<u64> {
        self.inner.expire_uploads(idle).await
    }
}
