//! How a copy is done: limits and choices.

use std::fmt;
use std::sync::Arc;

use super::hooks::CopyHooks;
use super::platforms::PlatformSubset;
use super::progress::CopyEvent;
use crate::content::MAX_MANIFEST_SIZE;
use crate::platform::Platform;

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
    /// Copies of an index only these platforms, and with them the index: a new one of what is copied or, on demand,
    /// the original one. Like [`platform`](Self::platform), it concerns what [`copy`](super::copy()),
    /// [`copy_tag`](super::copy_tag) and [`extended_copy`](super::extended_copy) find by a reference, and is
    /// applied after it.
    pub platforms: Option<PlatformSubset>,
    /// What to make of manifests that the destination has.
    pub existing: Existing,
    /// Whether layers that must not be distributed are copied as well. By default they are left out,
    /// as registries do not have them.
    pub include_non_distributable: bool,
    /// From which size on, in bytes, what has arrived of a blob is kept when the copy fails or is
    /// dropped, so that a later copy, in another process too, continues inside the blob. `None`, the
    /// default, keeps nothing.
    ///
    /// Layouts on a local disk keep it among their uploads, until it is continued or garbage collection
    /// removes it. A registry keeps it in an upload, until that expires; its client has to note which,
    /// and does so if it is told where. Other backends keep nothing.
    pub resumable_from: Option<u64>,
    /// Finds out what there is to do and does nothing. Whether a registry declines a mount, or mounts a blob
    /// that was only pushed, shows when it is tried: a dry run expects that mounts from the source, and from
    /// the repositories that [`CopyHooks::mount_from`] names, succeed, and expects no others.
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

    /// Sets [`platforms`](Self::platforms).
    #[must_use]
    pub fn with_platforms(mut self, platforms: PlatformSubset) -> Self {
        self.platforms = Some(platforms);
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

    /// Sets [`resumable_from`](Self::resumable_from), in bytes.
    #[must_use]
    pub fn with_resumable_from(mut self, bytes: u64) -> Self {
        self.resumable_from = Some(bytes);
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
            platforms: None,
            existing: Existing::default(),
            include_non_distributable: false,
            resumable_from: None,
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
            .field("platforms", &self.platforms)
            .field("existing", &self.existing)
            .field("include_non_distributable", &self.include_non_distributable)
            .field("resumable_from", &self.resumable_from)
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}
