//! What a registry is: repositories by name.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{TryStreamExt as _, stream};

use crate::capabilities::Capabilities;
use crate::error::{Error, Result};
use crate::identity::RegistryIdentity;
use crate::listing::{ListOptions, Listing};
use crate::reference::RepositoryName;
use crate::repository::Repository;

/// A registry: repositories by name. Programs use this trait, and backends and layers implement it; three methods
/// are required.
///
/// ```
/// use futures_util::TryStreamExt;
/// use tranship::{ListOptions, Registry, Result};
///
/// async fn print_catalog(registry: &dyn Registry) -> Result<()> {
///     let mut names = registry.repositories(ListOptions::default());
///     while let Some(name) = names.try_next().await? {
///         println!("{name}");
///     }
///     Ok(())
/// }
/// ```
#[async_trait]
pub trait Registry: Send + Sync + fmt::Debug {
    /// Returns which registry this is.
    fn identity(&self) -> &RegistryIdentity;

    /// Returns what the registry's repositories can do, and whether it lists them.
    fn capabilities(&self) -> Capabilities;

    /// Opens the repository `name`, which need not exist: it comes to be with the first push.
    ///
    /// # Errors
    /// What the backend fails with. That the repository does not exist is not an error.
    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>>;

    /// Lists the names of the repositories that hold something, in ASCII order, each once.
    ///
    /// # Errors
    /// An item of the stream is an error if a page cannot be fetched; it is the last item. By default that is
    /// [`Unsupported`](crate::ErrorKind::Unsupported): the registry does not have a catalog.
    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        let _ = options;
        let catalog = self.capabilities().catalog;
        let reason = catalog.reason();
        let error =
            Error::unsupported(reason.unwrap_or("this registry does not list its repositories"));
        Box::pin(stream::iter([Err(error)]))
    }

    /// Ends the uploads, in all repositories, that have not been written to for `idle` and that no process holds
    /// open, and returns how many. Those that another process left behind are among them. By default this does
    /// nothing, as for a backend whose uploads do not outlive the process, or whose own server ends them.
    ///
    /// Dropping the future leaves the rest to the next call.
    ///
    /// # Errors
    /// What the backend fails with.
    async fn expire_uploads(&self, idle: Duration) -> Result<u64> {
        let _ = idle;
        Ok(0)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: Registry + ?Sized> Registry for Arc<T> {
    fn identity(&self) -> &RegistryIdentity {
        (**self).identity()
    }

    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>> {
        (**self).repository(name).await
    }

    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        (**self).repositories(options)
    }

    async fn expire_uploads(&self, idle: Duration) -> Result<u64> {
        (**self).expire_uploads(idle).await
    }
}

/// Collects the names of all repositories of `registry`.
///
/// # Errors
/// As [`Registry::repositories`].
pub async fn repositories(registry: &dyn Registry) -> Result<Vec<RepositoryName>> {
    registry
        .repositories(ListOptions::default())
        .try_collect()
        .await
}
