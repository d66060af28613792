//! How a copy is done: limits, choices, and the caller's hooks.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::progress::CopyEvent;
use crate::content::MAX_MANIFEST_SIZE;
use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::media_type::MediaType;
use crate::platform::Platform;
use crate::reference::RepositoryName;
use crate::registry::Repository;

/// What a copy makes of a manifest that the destination has already.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Existing {
    /// All that it refers to is there too: true of whatever was copied children first, and one
    /// question saves the whole subtree.
    #[default]
    Trust,
    /// Something below it may be missing, after a crash of another tool or behind a cache: everything
    /// is looked at, and what is missing or has the wrong size is copied again.
    Check,
}

/// What to do with content that is about to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PreCopy {
    /// Copy it.
    #[default]
    Copy,
    /// Leave it out, as if the destination had it.
    Skip,
}

/// The caller's part in a copy. Every method has a default that changes nothing.
///
/// An error from any of them ends the copy, and is what the copy fails with.
#[async_trait]
pub trait CopyHooks: Send + Sync {
    /// Replaces the root before anything is copied, for example by one of an index's manifests.
    /// Called before platform selection.
    ///
    /// # Errors
    /// Whatever shall end the copy.
    async fn map_root(&self, source: &dyn Repository, root: Descriptor) -> Result<Descriptor> {
        let _ = source;
        Ok(root)
    }

    /// Chooses which of the successors that a manifest has are copied with it.
    ///
    /// # Errors
    /// Whatever shall end the copy.
    async fn successors(
        &self,
        node: &Descriptor,
        found: Vec<Descriptor>,
    ) -> Result<Vec<Descriptor>> {
        let _ = node;
        Ok(found)
    }

    /// Names repositories of the destination's registry that may have the blob `node`, the likeliest
    /// first. The source itself need not be named.
    ///
    /// # Errors
    /// Whatever shall end the copy.
    async fn mount_from(&self, node: &Descriptor) -> Result<Vec<RepositoryName>> {
        let _ = node;
        Ok(Vec::new())
    }

    /// Called before `node` is copied, after everything that it refers to.
    ///
    /// # Errors
    /// Whatever shall end the copy.
    async fn pre_copy(&self, node: &Descriptor) -> Result<PreCopy> {
        let _ = node;
        Ok(PreCopy::Copy)
    }

    /// Called when `node` has been copied.
    ///
    /// # Errors
    /// Whatever shall end the copy.
    async fn post_copy(&self, node: &Descriptor) -> Result<()> {
        let _ = node;
        Ok(())
    }

    /// Called instead of the two above when the destination has `node`.
    ///
    /// # Errors
    /// Whatever shall end the copy.
    async fn on_skipped(&self, node: &Descriptor) -> Result<()> {
        let _ = node;
        Ok(())
    }

    /// Called instead of them when the blob `node` was mounted.
    ///
    /// # Errors
    /// Whatever shall end the copy.
    async fn on_mounted(&self, node: &Descriptor) -> Result<()> {
        let _ = node;
        Ok(())
    }

    /// Called as the copy goes on, from wherever the bytes pass: it should return at once.
    fn on_event(&self, event: CopyEvent<'_>) {
        let _ = event;
    }
}

/// How [`copy`](super::copy()) and [`copy_graph`](super::copy_graph) do their work.
///
/// ```
/// use tranship::{CopyOptions, Existing};
///
/// let options = CopyOptions::default()
///     .with_platform("linux/arm64".parse()?)
///     .with_existing(Existing::Check);
/// # Ok::<(), tranship::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone)]
pub struct CopyOptions {
    /// How much may be under way at the same time; at least 1, by default 6.
    pub concurrency: usize,
    /// The largest manifest that is read, in bytes; by default 4 MiB.
    pub max_manifest_size: u64,
    /// Copies of an index only the first manifest that satisfies this.
    pub platform: Option<Platform>,
    /// What to make of manifests that the destination has.
    pub existing: Existing,
    /// Whether layers that must not be distributed are copied as well. By default they are left out,
    /// as registries do not have them.
    pub include_non_distributable: bool,
    /// Finds out what there is to do and does nothing.
    pub dry_run: bool,
    /// The caller's part.
    pub hooks: Option<Arc<dyn CopyHooks>>,
}

impl CopyOptions {
    /// The default of [`concurrency`](Self::concurrency).
    pub const DEFAULT_CONCURRENCY: usize = 6;

    /// Sets [`concurrency`](Self::concurrency); 0 counts as 1.
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency.max(1);
        self
    }

    /// Sets [`max_manifest_size`](Self::max_manifest_size), in bytes.
    #[must_use]
    pub fn with_max_manifest_size(mut self, bytes: u64) -> Self {
        self.max_manifest_size = bytes;
        self
    }

    /// Sets [`platform`](Self::platform).
    #[must_use]
    pub fn with_platform(mut self, platform: Platform) -> Self {
        self.platform = Some(platform);
        self
    }

    /// Sets [`existing`](Self::existing).
    #[must_use]
    pub fn with_existing(mut self, existing: Existing) -> Self {
        self.existing = existing;
        self
    }

    /// Sets [`include_non_distributable`](Self::include_non_distributable).
    #[must_use]
    pub fn with_non_distributable(mut self, include: bool) -> Self {
        self.include_non_distributable = include;
        self
    }

    /// Sets [`dry_run`](Self::dry_run).
    #[must_use]
    pub fn with_dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Sets [`hooks`](Self::hooks).
    #[must_use]
    pub fn with_hooks(mut self, hooks: Arc<dyn CopyHooks>) -> Self {
        self.hooks = Some(hooks);
        self
    }
}

impl CopyOptions {
    pub(super) fn event(&self, event: CopyEvent<'_>) {
        if let Some(hooks) = &self.hooks {
            hooks.on_event(event);
        }
    }
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            concurrency: Self::DEFAULT_CONCURRENCY,
            max_manifest_size: MAX_MANIFEST_SIZE,
            platform: None,
            existing: Existing::default(),
            include_non_distributable: false,
            dry_run: false,
            hooks: None,
        }
    }
}

impl fmt::Debug for CopyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyOptions")
            .field("concurrency", &self.concurrency)
            .field("max_manifest_size", &self.max_manifest_size)
            .field("platform", &self.platform)
            .field("existing", &self.existing)
            .field("include_non_distributable", &self.include_non_distributable)
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}

/// Which manifests an extended copy follows against the direction of the graph.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Follow {
    /// Referrers: manifests whose subject is copied. Of everything that is copied, so those of an
    /// index's platforms too.
    #[default]
    Referrers,
    /// Also the indexes that hold what was asked for, and with them all that they hold.
    Predecessors,
}

/// How [`extended_copy`](super::extended_copy) and
/// [`extended_copy_graph`](super::extended_copy_graph) do their work.
///
/// Filters narrow what is followed, and with it what hangs on it; all that are set must agree.
///
/// ```
/// use tranship::{ExtendedCopyOptions, MediaType};
///
/// let signatures_only = ExtendedCopyOptions::default()
///     .with_artifact_type(MediaType::from_static("application/vnd.example.signature"))
///     .with_depth(1);
/// ```
#[non_exhaustive]
#[derive(Clone, Default)]
pub struct ExtendedCopyOptions {
    /// How everything is copied.
    pub copy: CopyOptions,
    /// What is followed.
    pub follow: Follow,
    /// How many steps away from what was asked for; `None` for no bound.
    pub depth: Option<usize>,
    /// Follows only artifacts of one of these types, if there are any.
    pub artifact_types: Vec<MediaType>,
    /// Follows only what has all of these annotations, with that value where one is given.
    pub annotations: Vec<(String, Option<String>)>,
    filter: Option<Arc<Filter>>,
}

type Filter = dyn Fn(&Descriptor) -> bool + Send + Sync;

impl ExtendedCopyOptions {
    /// Sets [`copy`](Self::copy).
    #[must_use]
    pub fn with_copy(mut self, copy: CopyOptions) -> Self {
        self.copy = copy;
        self
    }

    /// Sets [`follow`](Self::follow).
    #[must_use]
    pub fn with_follow(mut self, follow: Follow) -> Self {
        self.follow = follow;
        self
    }

    /// Sets [`depth`](Self::depth).
    #[must_use]
    pub fn with_depth(mut self, depth: usize) -> Self {
        self.depth = Some(depth);
        self
    }

    /// Adds to [`artifact_types`](Self::artifact_types).
    #[must_use]
    pub fn with_artifact_type(mut self, artifact_type: MediaType) -> Self {
        self.artifact_types.push(artifact_type);
        self
    }

    /// Adds to [`annotations`](Self::annotations).
    #[must_use]
    pub fn with_annotation(mut self, key: impl Into<String>, value: Option<String>) -> Self {
        self.annotations.push((key.into(), value));
        self
    }

    /// Follows only what `filter` says yes to; the descriptor has artifact type and annotations.
    #[must_use]
    pub fn with_filter(
        mut self,
        filter: impl Fn(&Descriptor) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.filter = Some(Arc::new(filter));
        self
    }

    pub(super) fn follows(&self, referrer: &Descriptor) -> bool {
        let type_fits = self.artifact_types.is_empty()
            || referrer
                .artifact_type()
                .is_some_and(|kind| self.artifact_types.contains(kind));
        let annotations_fit = self.annotations.iter().all(|(key, wanted)| {
            let found = referrer.annotation(key);
            found.is_some() && (wanted.is_none() || found == wanted.as_deref())
        });
        type_fits && annotations_fit && self.filter.as_ref().is_none_or(|filter| filter(referrer))
    }
}

impl fmt::Debug for ExtendedCopyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtendedCopyOptions")
            .field("copy", &self.copy)
            .field("follow", &self.follow)
            .field("depth", &self.depth)
            .field("artifact_types", &self.artifact_types)
            .field("annotations", &self.annotations)
            .finish_non_exhaustive()
    }
}
