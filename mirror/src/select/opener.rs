//! Opens what rules name.

use std::sync::Arc;

use async_trait::async_trait;
use tranship::{Registry, Repository, Result};

/// An end of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// What is read. It must exist.
    Source,
    /// What is written to. It need not exist.
    Destination,
}

/// Opens registries and repositories by their locations, as rules name them.
///
/// `tranship-backends` opens the locations of the command line. A program with other backends, or with stores in memory, maps
/// names of its own.
#[async_trait]
pub trait Opener: Send + Sync {
    /// Opens the registry at `location`, such as `docker.io` or `layouts:DIR`.
    ///
    /// # Errors
    /// What opening fails with.
    async fn registry(&self, location: &str, end: End) -> Result<Arc<dyn Registry>>;

    /// Opens the single repository at `location`, such as `oci:DIR`.
    ///
    /// # Errors
    /// What opening fails with.
    async fn repository(&self, location: &str, end: End) -> Result<Arc<dyn Repository>>;
}
