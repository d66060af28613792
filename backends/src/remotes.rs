//! Registries that are reached over HTTP, each opened once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tranship::{Reference, Registry, RegistryName, Repository, Result};
use tranship_remote::{RemoteOptions, RemoteRegistry};

/// How registries are reached, and the registries that were opened. Clones share them, so that several repositories of
/// one registry share connections and tokens.
#[derive(Clone, Default)]
pub(crate) struct Remotes {
    options: RemoteOptions,
    exceptions: HashMap<RegistryName, RemoteOptions>,
    opened: Arc<Mutex<HashMap<RegistryName, RemoteRegistry>>>,
}

impl Remotes {
    /// Returns the same exceptions, with `options` for all other registries. No registry is open.
    pub(crate) fn with_options(mut self, options: RemoteOptions) -> Self {
        self.options = options;
        self.opened = Arc::default();
        self
    }

    /// Returns the same options, except for the registry `name`. No registry is open.
    pub(crate) fn with_options_for(mut self, name: RegistryName, options: RemoteOptions) -> Self {
        self.exceptions.insert(name, options);
        self.opened = Arc::default();
        self
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
        let options = self.exceptions.get(name).unwrap_or(&self.options);
        let registry = RemoteRegistry::with_options(name, options.clone())?;
        opened.insert(name.clone(), registry.clone());
        Ok(registry)
    }
}

impl fmt::Debug for Remotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remotes")
            .field("options", &self.options)
            .field("exceptions", &self.exceptions)
            .finish_non_exhaustive()
    }
}
