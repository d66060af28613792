//! The options of a cache.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::RepositoryName;

type Pinned = dyn Fn(&RepositoryName) -> bool + Send + Sync;

/// How a [`Cache`](super::Cache) works.
#[non_exhaustive]
#[derive(Clone)]
pub struct CacheOptions {
    /// For how long the store resolves a tag that the upstream has resolved; 60 seconds by default.
    pub tag_ttl: Duration,
    /// How long the upstream may take to resolve a tag that the store has too, before the store resolves it; 10 seconds by
    /// default.
    pub patience: Duration,
    /// How many bytes the store may hold; no limit by default. Larger content is read from the upstream and not stored.
    pub max_size: Option<u64>,
    /// The directory for files of content that is read while it arrives; by default the system's directory for temporary
    /// files. They do not have a name, and take as much space as the content that is being fetched.
    pub spool_directory: Option<Arc<Path>>,
    pinned: Option<Arc<Pinned>>,
}

impl CacheOptions {
    /// Sets [`tag_ttl`](Self::tag_ttl). With zero, the upstream is asked each time.
    #[must_use]
    pub fn with_tag_ttl(mut self, ttl: Duration) -> Self {
        self.tag_ttl = ttl;
        self
    }

    /// Sets [`patience`](Self::patience).
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets [`max_size`](Self::max_size), in bytes.
    #[must_use]
    pub fn with_max_size(mut self, size: u64) -> Self {
        self.max_size = Some(size);
        self
    }

    /// Sets [`spool_directory`](Self::spool_directory), which must exist.
    #[must_use]
    pub fn with_spool_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.spool_directory = Some(Arc::from(directory.into()));
        self
    }

    /// Never deletes content of the repositories for which `is_pinned` returns true, and does not count it.
    #[must_use]
    pub fn with_pinned(
        mut self,
        is_pinned: impl Fn(&RepositoryName) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.pinned = Some(Arc::new(is_pinned));
        self
    }

    pub(super) fn is_pinned(&self, name: &RepositoryName) -> bool {
        self.pinned
            .as_ref()
            .is_some_and(|is_pinned| is_pinned(name))
    }
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            tag_ttl: Duration::from_secs(60),
            patience: Duration::from_secs(10),
            max_size: None,
            spool_directory: None,
            pinned: None,
        }
    }
}

impl fmt::Debug for CacheOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheOptions")
            .field("tag_ttl", &self.tag_ttl)
            .field("patience", &self.patience)
            .field("max_size", &self.max_size)
            .field("spool_directory", &self.spool_directory)
            .finish_non_exhaustive()
    }
}
