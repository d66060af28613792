//! How a bundle is applied, and what that did.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use tranship::{CopyOptions, Digest, RepositoryName, Result, Tag};

use super::super::name::BundleName;

type Rename = dyn Fn(&BundleName) -> Result<RepositoryName> + Send + Sync;

/// How a bundle is applied to a registry.
#[non_exhaustive]
#[derive(Clone)]
pub struct ApplyOptions {
    /// How each image is copied: its concurrency, its hooks, and whether nothing is changed. Platforms are not selected
    /// here.
    pub copy: CopyOptions,
    /// How many images are copied at the same time; 4 by default.
    pub concurrency: NonZeroUsize,
    /// A directory in which parts of blobs are saved if their other parts are in volumes that are not open. It makes it
    /// possible to apply one volume at a time. `None`, the default, saves nothing: such a blob needs all of its volumes at
    /// once.
    pub parts: Option<PathBuf>,
    rename: Option<Arc<Rename>>,
}

impl Default for ApplyOptions {
    fn default() -> Self {
        Self {
            copy: CopyOptions::default(),
            concurrency: NonZeroUsize::MIN.saturating_add(3),
            parts: None,
            rename: None,
        }
    }
}

impl ApplyOptions {
    /// Sets [`copy`](Self::copy).
    #[must_use]
    pub fn with_copy(mut self, copy: CopyOptions) -> Self {
        self.copy = copy;
        self
    }

    /// Sets [`concurrency`](Self::concurrency).
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: NonZeroUsize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Sets [`parts`](Self::parts).
    #[must_use]
    pub fn with_parts(mut self, directory: impl Into<PathBuf>) -> Self {
        self.parts = Some(directory.into());
        self
    }

    /// Sets how repositories are named at the destination. By default they have their names without the registry.
    #[must_use]
    pub fn with_names(
        mut self,
        rename: impl Fn(&BundleName) -> Result<RepositoryName> + Send + Sync + 'static,
    ) -> Self {
        self.rename = Some(Arc::new(rename));
        self
    }

    pub(super) fn rename(&self, name: &BundleName) -> Result<RepositoryName> {
        match &self.rename {
            Some(rename) => rename(name),
            None => Ok(name.repository().clone()),
        }
    }
}

impl fmt::Debug for ApplyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApplyOptions")
            .field("copy", &self.copy)
            .field("concurrency", &self.concurrency)
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

/// What the application of a bundle did, or in a dry run would do.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApplyReport {
    /// The images that the destination has now.
    pub applied: Vec<AppliedImage>,
    /// The images whose content is in volumes that are not open. They have not got their tags.
    pub pending: Vec<PendingImage>,
    /// How many bytes were copied.
    pub copied_bytes: u64,
    /// How many bytes were mounted from other repositories of the destination.
    pub mounted_bytes: u64,
}

impl ApplyReport {
    pub(super) fn add(&mut self, other: Self) {
        self.applied.extend(other.applied);
        self.pending.extend(other.pending);
        self.copied_bytes = self.copied_bytes.saturating_add(other.copied_bytes);
        self.mounted_bytes = self.mounted_bytes.saturating_add(other.mounted_bytes);
    }
}

/// An image that the destination has.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedImage {
    /// The repository in the bundle.
    pub name: BundleName,
    /// The repository at the destination.
    pub repository: RepositoryName,
    /// The tags; none for a referrer or an image without one.
    pub tags: Vec<Tag>,
    /// The digest of the manifest.
    pub digest: Digest,
    /// Whether anything was copied, or a tag was set.
    pub changed: bool,
}

/// An image that waits for other volumes.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingImage {
    /// The repository in the bundle.
    pub name: BundleName,
    /// The tags; none for a referrer or an image without one.
    pub tags: Vec<Tag>,
    /// The digest of the manifest.
    pub digest: Digest,
    /// The numbers of the volumes that it waits for.
    pub volumes: Vec<u32>,
}
