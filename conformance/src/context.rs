//! What the steps of a scenario work on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tranship::{Capabilities, Registry, Repository, RepositoryName};

use crate::failure::{Failure, Verdict};
use crate::fixture::{Fixture, Store};

/// A repository under test.
pub(crate) type Repo = Arc<dyn Repository>;

/// The store under test, with repositories that this trial has for itself.
pub(crate) struct Context {
    store: Store,
    peer: Option<Store>,
    capabilities: Capabilities,
    prefix: String,
}

impl Context {
    pub(crate) fn new(fixture: &Fixture, capabilities: Capabilities) -> Self {
        Self {
            store: fixture.store.clone(),
            peer: fixture.peer.clone(),
            capabilities,
            prefix: unique_prefix(),
        }
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The repository that most scenarios need one of: empty.
    pub(crate) async fn repository(&self) -> Verdict<Repo> {
        match &self.store {
            Store::Repository(repository) => Ok(Arc::clone(repository)),
            Store::Registry(registry) => open(registry, &self.name("app")?).await,
        }
    }

    /// The same repository as [`repository`](Self::repository), through the second handle.
    pub(crate) async fn peer(&self) -> Verdict<Repo> {
        match &self.peer {
            Some(Store::Repository(repository)) => Ok(Arc::clone(repository)),
            Some(Store::Registry(registry)) => open(registry, &self.name("app")?).await,
            None => Err(Failure::new("there is no second handle")),
        }
    }

    pub(crate) fn registry(&self) -> Verdict<&Arc<dyn Registry>> {
        match &self.store {
            Store::Registry(registry) => Ok(registry),
            Store::Repository(_) => Err(Failure::new("there is no registry")),
        }
    }

    /// Another repository of the registry, which exists when something is pushed to it.
    pub(crate) async fn another_repository(&self, name: &str) -> Verdict<Repo> {
        open(self.registry()?, &self.name(name)?).await
    }

    /// The whole name of the repository that scenarios call `name`.
    pub(crate) fn name(&self, name: &str) -> Verdict<RepositoryName> {
        Ok(format!("{}/{name}", self.prefix).parse()?)
    }

    /// What the names of all repositories of this trial begin with, without the slash.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }
}

async fn open(registry: &Arc<dyn Registry>, name: &RepositoryName) -> Verdict<Repo> {
    registry.repository(name).await.map_err(|error| {
        let message = format!("opening the repository {name} should have succeeded");
        Failure::caused(&message, &error)
    })
}

/// Short, and different in every trial of every process, so that trials can share a registry.
fn unique_prefix() -> String {
    static TRIALS: AtomicU64 = AtomicU64::new(0);
    let trial = TRIALS.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = now.map_or(0, |elapsed| elapsed.as_micros());
    format!("conformance/{micros:x}-{:x}-{trial}", std::process::id())
}
