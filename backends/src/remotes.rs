//! Registries that are reached over HTTP, each opened once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tranship::{Reference, Registry, RegistryName, Repository, Result};
use tranship_remote::{RemoteOptions, RemoteRegistry};

/// How registries are reached, and those that were opened in this way. Clones share them, so that
/// whoever opens several repositories of one registry has one set of connections and tokens.
#[derive(Clone, Default)]
pub(crate) struct Remotes {
    options: RemoteOptions,
    opened: Arc<Mutex<HashMap<RegistryName, RemoteRegistry>>>,
}

impl Remotes {
    pub(crate) fn new(options: RemoteOptions) -> Self {
        Self {
            options,
            opened: Arc::default(),
        }
    }

    pub(crate) fn registry(&self, name: &RegistryName) -> Result<Arc<dyn Registry>> {
        Ok(Arc::new(self.open(name)?))
    }

    pub(crate) fn repository(&self, reference: &Reference) -> Result<Arc<dyn Repository>> {
        let registry = self.open(reference.registry())?;
        Ok(Arc::new(registry.open(reference.repository())))
    }

    fn open(&self, name: &RegistryName) -> Result<RemoteRegistry> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(registry) = opened.get(name) {
            return Ok(registry.clone());
        }
        let registry = RemoteRegistry::with_options(name, self.options.clone())?;
        opened.insert(name.clone(), registry.clone());
        Ok(registry)
    }
}

impl fmt::Debug for Remotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.options.fmt(f)
    }
}
