//! Opens what rules name.

use std::sync::Arc;

use async_trait::async_trait;
use tranship::{Registry, Repository, Result};

/// An end of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The end that is read. It must exist.
    Source,
    /// The end that is written to. It need not exist.
    Destination,
}

/// Opens registries and repositories by their locations, as rules name them.
///
/// `tranship-backends` opens the locations of the command line. A program with other backends, or with stores in memory,
/// decides itself which names it opens.
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
