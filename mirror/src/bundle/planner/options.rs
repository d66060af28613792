//! How a bundle is planned.

use std::sync::Arc;

use super::super::lock::Lock;

/// How a bundle is planned.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct PlannerOptions {
    /// What the destination has. It is left out of the bundle. `None`, the default, if it has nothing.
    pub base: Option<Arc<Lock>>,
    /// The most bytes of all manifests; by default 1 GiB. From 32 MiB on they are in a temporary file.
    pub max_manifest_bytes: u64,
}

impl Default for PlannerOptions {
    fn default() -> Self {
        Self {
            base: None,
            max_manifest_bytes: 1024 * 1024 * 1024,
        }
    }
}

impl PlannerOptions {
    /// Sets [`base`](Self::base).
    #[must_use]
    pub fn with_base(mut self, base: Lock) -> Self {
        self.base = Some(Arc::new(base));
        self
    }

    /// Sets [`max_manifest_bytes`](Self::max_manifest_bytes).
    #[must_use]
    pub fn with_max_manifest_bytes(mut self, bytes: u64) -> Self {
        self.max_manifest_bytes = bytes;
        self
    }
}
