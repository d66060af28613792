//! A registry that images are copied into to find out what a bundle must have.

mod options;
mod repository;
mod state;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use futures_util::stream;
use tranship::{
    Capabilities, ListOptions, Listing, Registry, RegistryIdentity, Repository, RepositoryName,
    Result,
};

pub use options::PlannerOptions;

use super::kept::KeptManifests;
use super::lock::Lock;
use super::name::BundleName;
use repository::PlannerRepository;
use state::{Shared, capabilities};

pub(super) use state::State;

/// A registry that images are copied into to find out what a bundle must have.
///
/// It keeps the manifests, and of blobs only the descriptors: these are read from their sources when the bundle is
/// written. Copy each image to the repository that [`repository_from`](Self::repository_from) returns for its source,
/// and make the [`Plan`](crate::bundle::Plan) with [`plan`](Self::plan). Manifests that the base has in the same repository are
/// found there, so that a copy skips everything below them.
///
/// ```
/// # use std::sync::Arc;
/// # use tranship::{CopyOptions, Repository, Result};
/// # use tranship_memory::MemoryRegistry;
/// use tranship_mirror::bundle::{BundleName, BundlePlanner, PlanOptions, PlannerOptions};
///
/// async fn plan(source: Arc<dyn Repository>) -> Result<()> {
///     let planner = BundlePlanner::new(PlannerOptions::default());
///     let name: BundleName = "docker.io/library/alpine".parse()?;
///     let destination = planner.repository_from(&name, Arc::clone(&source));
///     let options = CopyOptions::default();
///     tranship::copy(&*source, &"3.19".parse()?, &*destination, &["3.19".parse()?], &options).await?;
///     let plan = planner.plan(&PlanOptions::default()).await?;
///     println!("{} bytes", plan.totals().bytes);
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct BundlePlanner {
    shared: Arc<Shared>,
}

impl BundlePlanner {
    /// Returns a planner that knows no images.
    #[must_use]
    pub fn new(options: PlannerOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                identity: RegistryIdentity::new("bundle:planned"),
                base: options.base,
                kept: KeptManifests::new(options.max_manifest_bytes),
                state: Mutex::default(),
            }),
        }
    }

    /// Returns the repository `name` of the bundle, into which images of `source` are copied. Their blobs are read from
    /// there when the bundle is written.
    #[must_use]
    pub fn repository_from(
        &self,
        name: &BundleName,
        source: Arc<dyn Repository>,
    ) -> Arc<dyn Repository> {
        Arc::new(self.view(name, Some(source)))
    }

    /// Records that images that were chosen for the repository `name` could not be copied to it, or for any of the
    /// repositories if `name` is `None`. In the bundle, [`RepositoryContents::is_incomplete`] says so, and who applies it
    /// deletes nothing there. Repositories to which nothing was copied are not in the bundle, and stay so.
    ///
    /// [`RepositoryContents::is_incomplete`]: crate::bundle::RepositoryContents::is_incomplete
    pub fn mark_incomplete(&self, name: Option<&BundleName>) {
        for (planned, repository) in &mut self.lock().repositories {
            if name.is_none_or(|name| name == planned) {
                repository.is_incomplete = true;
            }
        }
    }

    fn view(&self, name: &BundleName, source: Option<Arc<dyn Repository>>) -> PlannerRepository {
        PlannerRepository {
            shared: Arc::clone(&self.shared),
            flattened: name.flattened(),
            name: name.clone(),
            source,
        }
    }

    pub(in crate::bundle) fn base(&self) -> Option<&Arc<Lock>> {
        self.shared.base.as_ref()
    }

    pub(in crate::bundle) fn kept(&self) -> &KeptManifests {
        &self.shared.kept
    }

    pub(in crate::bundle) fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl fmt::Debug for BundlePlanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("BundlePlanner")
            .field("repositories", &state.repositories.len())
            .field("manifests", &state.manifests.len())
            .field("blobs", &state.blobs.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Registry for BundlePlanner {
    fn identity(&self) -> &RegistryIdentity {
        &self.shared.identity
    }

    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    /// Opens a repository of which the source is not known. Blobs cannot be pushed to it:
    /// [`repository_from`](Self::repository_from) returns one that accepts them.
    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>> {
        Ok(Arc::new(self.view(&BundleName::new(None, name)?, None)))
    }

    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        let state = self.lock();
        let names: BTreeSet<_> = state
            .repositories
            .keys()
            .map(BundleName::flattened)
            .collect();
        let last = options.last.unwrap_or_default();
        let rest: Vec<_> = names
            .into_iter()
            .filter(|name| name.as_str() > last.as_str())
            .collect();
        Box::pin(stream::iter(rest.into_iter().map(Ok)))
    }
}
