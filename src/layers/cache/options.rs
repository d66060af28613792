//! The options of a cache.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::{Error, RepositoryName, Tag};

type Pinned = dyn Fn(&RepositoryName) -> bool + Send + Sync;
type OnStale = dyn Fn(&RepositoryName, &Tag, &Error) + Send + Sync;

/// How a [`Cache`](super::Cache) works.
#[non_exhaustive]
#[derive(Clone)]
pub struct CacheOptions {
    /// For how long the store resolves a tag that the upstream has resolved; 60 seconds by default.
    pub tag_ttl: Duration,
    /// How long the upstream may take to resolve a tag that the store has too, before the store resolves it; 10 seconds by
    /// default.
    pub patience: Duration,
    /// How long the upstream may send nothing of content or of a response; 60 seconds by default. Longer waits fail with
    /// [`Timeout`](crate::ErrorKind::Timeout), however many attempts are made.
    pub stall_timeout: Duration,
    /// How many bytes the store may hold; no limit by default. Larger content is read from the upstream and not stored.
    pub max_size: Option<u64>,
    /// The directory for files of content that is read while it arrives; by default the system's directory for temporary
    /// files. They do not have a name, and take as much space as the content that is being fetched.
    pub spool_directory: Option<Arc<Path>>,
    pinned: Option<Arc<Pinned>>,
    on_stale: Option<Arc<OnStale>>,
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

    /// Sets [`stall_timeout`](Self::stall_timeout).
    #[must_use]
    pub fn with_stall_timeout(mut self, time: Duration) -> Self {
        self.stall_timeout = time;
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

    /// Calls `on_stale` with the repository, the tag and the error of the upstream whenever the store resolves a tag since
    /// the upstream is down: once in a [time to live](Self::tag_ttl). It must not block.
    #[must_use]
    pub fn with_on_stale(
        mut self,
        on_stale: impl Fn(&RepositoryName, &Tag, &Error) + Send + Sync + 'static,
    ) -> Self {
        self.on_stale = Some(Arc::new(on_stale));
        self
    }

    pub(super) fn report_stale(&self, name: &RepositoryName, tag: &Tag, error: &Error) {
        if let Some(on_stale) = &self.on_stale {
            on_stale(name, tag, error);
        }
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
            stall_timeout: Duration::from_secs(60),
            max_size: None,
            spool_directory: None,
            pinned: None,
            on_stale: None,
        }
    }
}

impl fmt::Debug for CacheOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheOptions")
            .field("tag_ttl", &self.tag_ttl)
            .field("patience", &self.patience)
            .field("stall_timeout", &self.stall_timeout)
            .field("max_size", &self.max_size)
            .field("spool_directory", &self.spool_directory)
            .finish_non_exhaustive()
    }
}
