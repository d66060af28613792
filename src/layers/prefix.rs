//! Shows the part of a registry below a name.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, future};

use super::renamed::{Names, Renamed};
use crate::*;

/// The repositories of a registry whose names begin with a prefix and `/`, named without it.
///
/// ```
/// use std::sync::Arc;
/// use tranship::Registry;
/// use tranship::layers::Prefix;
/// # use tranship_memory::MemoryRegistry;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let registry: Arc<dyn Registry> = Arc::new(MemoryRegistry::new());
/// let team = Prefix::new(registry.clone(), "team".parse()?);
/// // This is the repository `team/app` of the registry.
/// let app = team.repository(&"app".parse()?).await?;
/// assert_eq!(app.name().as_str(), "app");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Prefix<R> {
    inner: R,
    prefix: RepositoryName,
}

impl<R> Prefix<R> {
    /// Shows the repositories of `inner` below `prefix`.
    pub fn new(inner: R, prefix: RepositoryName) -> Self {
        Self { inner, prefix }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<R: Registry> Registry for Prefix<R> {
    fn identity(&self) -> &RegistryIdentity {
        self.inner.identity()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>> {
        let names = Names::Below(self.prefix.clone());
        let inner = names.inner(name)?.unwrap_or_else(|| name.clone());
        let inner = self.inner.repository(&inner).await?;
        Ok(Arc::new(Renamed::new(inner, name.clone(), names)))
    }

    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        names_below(&self.inner, &self.prefix, options)
    }

    /// The uploads in the whole of the wrapped registry expire.
    async fn expire_uploads(&self, idle: Duration) -> Result<u64> {
        self.inner.expire_uploads(idle).await
    }
}

/// Lists the repositories of `registry` below `prefix`, without it.
fn names_below<'a>(
    registry: &'a dyn Registry,
    prefix: &RepositoryName,
    options: ListOptions,
) -> Listing<'a, RepositoryName> {
    let start = format!("{prefix}/");
    // In ASCII order, all names below the prefix follow each other.
    let last = options.last.as_deref().unwrap_or_default();
    let options = ListOptions {
        last: Some(format!("{start}{last}")),
        ..options
    };
    let below = start.clone();
    let names = registry.repositories(options);
    let names =
        names.try_take_while(move |name| future::ready(Ok(name.as_str().starts_with(&below))));
    let names = names.map(move |name| name?.as_str()[start.len()..].parse());
    names.boxed()
}
