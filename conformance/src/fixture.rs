//! What a suite's factory makes for each trial: a store to test, and what must outlive it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use tranship::{Capabilities, Registry, Repository};

/// A store for one trial, empty or at least without anything of earlier trials in the way.
///
/// ```
/// # use std::sync::Arc;
/// # use tranship_conformance::Fixture;
/// # fn fixture() -> std::io::Result<Fixture> {
/// # use tranship_memory::MemoryRegistry;
/// # let open = |_: &std::path::Path| MemoryRegistry::new();
/// let directory = tempfile::tempdir()?;
/// let registry = open(directory.path());
/// Ok(Fixture::registry(Arc::new(registry)).with_guard(directory))
/// # }
/// # fixture().unwrap();
/// ```
#[must_use = "a fixture is what a suite's factory returns"]
pub struct Fixture {
    pub(crate) store: Store,
    pub(crate) peer: Option<Store>,
    inspection: Option<Inspection>,
    guard: Option<Box<dyn Any>>,
}

type Inspection = Box<dyn FnOnce() -> Result<(), String>>;

#[derive(Clone, Debug)]
pub(crate) enum Store {
    Registry(Arc<dyn Registry>),
    Repository(Arc<dyn Repository>),
}

impl Store {
    pub(crate) fn capabilities(&self) -> Capabilities {
        match self {
            Self::Registry(registry) => registry.capabilities(),
            Self::Repository(repository) => repository.capabilities(),
        }
    }
}

impl Fixture {
    /// A whole registry. Scenarios make repositories in it under names that no other trial uses, so
    /// that one long-lived registry can serve all of them.
    pub fn registry(registry: Arc<dyn Registry>) -> Self {
        Self::new(Store::Registry(registry))
    }

    /// One empty repository without a registry. Scenarios that need several are ignored.
    pub fn repository(repository: Arc<dyn Repository>) -> Self {
        Self::new(Store::Repository(repository))
    }

    fn new(store: Store) -> Self {
        Self {
            store,
            peer: None,
            inspection: None,
            guard: None,
        }
    }

    /// Adds a second handle on the same registry, opened as another process would open it. Scenarios
    /// of the group `peers` check that each sees what the other does.
    pub fn with_peer_registry(mut self, peer: Arc<dyn Registry>) -> Self {
        self.peer = Some(Store::Registry(peer));
        self
    }

    /// Adds a second handle on the same repository, opened as another process would open it.
    pub fn with_peer_repository(mut self, peer: Arc<dyn Repository>) -> Self {
        self.peer = Some(Store::Repository(peer));
        self
    }

    /// Inspects the store when the scenario has passed and every handle is dropped: for files
    /// and sessions that should not be there. An error fails the trial.
    pub fn with_inspection(
        mut self,
        inspection: impl FnOnce() -> Result<(), String> + 'static,
    ) -> Self {
        self.inspection = Some(Box::new(inspection));
        self
    }

    /// Keeps `guard`, such as a temporary directory or a running server, until all else is gone.
    pub fn with_guard(mut self, guard: impl Any) -> Self {
        self.guard = Some(Box::new(guard));
        self
    }

    /// Drops the handles, and leaves what comes after them.
    pub(crate) fn close(self) -> Closed {
        Closed {
            inspection: self.inspection,
            _guard: self.guard,
        }
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture")
            .field("store", &self.store)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

pub(crate) struct Closed {
    inspection: Option<Inspection>,
    _guard: Option<Box<dyn Any>>,
}

impl Closed {
    pub(crate) fn inspect(self) -> Result<(), String> {
        self.inspection.map_or(Ok(()), |inspect| inspect())
    }
}
