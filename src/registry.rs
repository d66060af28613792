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

/// Returns whether `registry` lists the repository `name`, or does not have a catalog, in which case every repository
/// may exist. Reads one name of the catalog.
///
/// # Errors
/// What the registry fails with.
pub async fn may_have_repository(registry: &dyn Registry, name: &RepositoryName) -> Result<bool> {
    if !registry.capabilities().catalog.is_yes() {
        return Ok(true);
    }
    let options = ListOptions::default()
        .with_last(right_before(name))
        .with_page_size(1);
    match registry.repositories(options).try_next().await {
        Ok(first) => Ok(first.as_ref() == Some(name)),
        Err(error) if error.is_unsupported() => Ok(true),
        Err(error) => Err(error),
    }
}

/// Returns a text that in ASCII order is between `name` and all names before it, since names do not contain a tilde.
fn right_before(name: &RepositoryName) -> String {
    let mut text = name.as_str().to_owned();
    if let Some(last) = text.pop().and_then(|last| u8::try_from(last).ok()) {
        text.push(char::from(last.saturating_sub(1)));
        text.push('~');
    }
    text
}
