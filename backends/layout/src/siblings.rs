//! The layouts of one registry, as sources of mounts.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tranship::{Descriptor, RepositoryName, Result};

use crate::driver::{Driver, RegistryDriver};

/// How many layouts that were mounted from are remembered. To open one takes longer than a mount. Each takes about a
/// kilobyte, and keeps no file open.
const RECENT: usize = 256;

/// The layouts of the same registry. Clones share those that were mounted from.
#[derive(Clone)]
pub(crate) struct Siblings {
    registry: Arc<dyn RegistryDriver>,
    /// Those that were mounted from last, the last one first.
    recent: Arc<Mutex<Recent>>,
}

type Recent = VecDeque<(RepositoryName, Arc<dyn Driver>)>;

impl Siblings {
    pub(crate) fn new(registry: Arc<dyn RegistryDriver>) -> Self {
        Self {
            registry,
            recent: Arc::default(),
        }
    }

    pub(crate) async fn mount(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        to: &dyn Driver,
    ) -> Result<bool> {
        let from = self.driver(from).await?;
        self.registry.mount(target, &*from, to).await
    }

    async fn driver(&self, name: &RepositoryName) -> Result<Arc<dyn Driver>> {
        if let Some(driver) = self.known(name) {
            return Ok(driver);
        }
        let driver = self.registry.layout(name).await?;
        let mut recent = self.recent();
        recent.truncate(RECENT - 1);
        recent.push_front((name.clone(), Arc::clone(&driver)));
        Ok(driver)
    }

    fn known(&self, name: &RepositoryName) -> Option<Arc<dyn Driver>> {
        let mut recent = self.recent();
        let at = recent.iter().position(|(known, _)| known == name)?;
        let known = recent.remove(at)?;
        let driver = Arc::clone(&known.1);
        recent.push_front(known);
        Some(driver)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
