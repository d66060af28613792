//! How files are pulled.

use std::fmt;
use std::sync::Arc;

use tranship::{CopyHooks, MediaType, Platform};

use super::spec::FileSpec;

/// How many files are fetched at a time by default.
const CONCURRENCY: usize = 4;
/// The most entries of an archive by default.
const MAX_ENTRIES: u64 = 1_000_000;

/// Which files [`pull`](super::pull) writes, and how.
///
/// ```
/// use tranship_artifact::files::PullOptions;
///
/// let options = PullOptions::default()
///     .with_name("*.json")
///     .with_overwrite(true);
/// assert!(!options.keep_tar);
/// ```
#[non_exhaustive]
#[derive(Clone)]
pub struct PullOptions {
    /// Chooses the manifest of an index. Without it, the files of all manifests in the index are pulled.
    pub platform: Option<Platform>,
    /// Patterns, with `*` and `?`, of which one must match the title of a file; empty for all files. A pattern without
    /// `/` may also match the last part of the title.
    pub names: Vec<String>,
    /// Media types of which a file must have one; empty for all types.
    pub media_types: Vec<MediaType>,
    /// Whether the files of the artifact's subject are pulled, too, and those of its subject.
    pub include_subject: bool,
    /// Whether the files of the artifact's referrers are pulled, too, and those of their referrers.
    pub include_referrers: bool,
    /// The path within the directory to which the config is written. With a media type, only a config of this type is.
    pub config: Option<FileSpec>,
    /// Whether archives of directories are written as files, with `.tar.gz` after their titles, instead of being
    /// unpacked.
    pub keep_tar: bool,
    /// Whether files that exist with other content are replaced.
    pub overwrite: bool,
    /// How many files are fetched at a time; 4 by default, and at least 1.
    pub concurrency: usize,
    /// The most entries that an archive may have; 1,000,000 by default.
    pub max_entries: u64,
    /// The most that an archive may have before compression, in bytes; by default 200 times as much as after it, and at
    /// least 1 GiB.
    pub max_unpacked_size: Option<u64>,
    /// Is told of the progress, by [`CopyHooks::on_event`]. The other hooks are not called.
    pub hooks: Option<Arc<dyn CopyHooks>>,
}

impl Default for PullOptions {
    fn default() -> Self {
        Self {
            platform: None,
            names: Vec::new(),
            media_types: Vec::new(),
            include_subject: false,
            include_referrers: false,
            config: None,
            keep_tar: false,
            overwrite: false,
            concurrency: CONCURRENCY,
            max_entries: MAX_ENTRIES,
            max_unpacked_size: None,
            hooks: None,
        }
    }
}

impl PullOptions {
    /// Sets [`platform`](Self::platform).
    #[must_use]
    pub fn with_platform(mut self, platform: Platform) -> Self {
        self.platform = Some(platform);
        self
    }

    /// Adds to [`names`](Self::names).
    #[must_use]
    pub fn with_name(mut self, pattern: impl Into<String>) -> Self {
        self.names.push(pattern.into());
        self
    }

    /// Adds to [`media_types`](Self::media_types).
    #[must_use]
    pub fn with_media_type(mut self, media_type: MediaType) -> Self {
        self.media_types.push(media_type);
        self
    }

    /// Sets [`include_subject`](Self::include_subject).
    #[must_use]
    pub fn with_include_subject(mut self, include_subject: bool) -> Self {
        self.include_subject = include_subject;
        self
    }

    /// Sets [`include_referrers`](Self::include_referrers).
    #[must_use]
    pub fn with_include_referrers(mut self, include_referrers: bool) -> Self {
        self.include_referrers = include_referrers;
        self
    }

    /// Sets [`config`](Self::config).
    #[must_use]
    pub fn with_config(mut self, config: impl Into<FileSpec>) -> Self {
        self.config = Some(config.into());
        self
    }

    /// Sets [`keep_tar`](Self::keep_tar).
    #[must_use]
    pub fn with_keep_tar(mut self, keep_tar: bool) -> Self {
        self.keep_tar = keep_tar;
        self
    }

    /// Sets [`overwrite`](Self::overwrite).
    #[must_use]
    pub fn with_overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Sets [`concurrency`](Self::concurrency).
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Sets [`max_entries`](Self::max_entries).
    #[must_use]
    pub fn with_max_entries(mut self, entries: u64) -> Self {
        self.max_entries = entries;
        self
    }

    /// Sets [`max_unpacked_size`](Self::max_unpacked_size), in bytes.
    #[must_use]
    pub fn with_max_unpacked_size(mut self, bytes: u64) -> Self {
        self.max_unpacked_size = Some(bytes);
        self
    }

    /// Sets [`hooks`](Self::hooks).
    #[must_use]
    pub fn with_hooks(mut self, hooks: Arc<dyn CopyHooks>) -> Self {
        self.hooks = Some(hooks);
        self
    }
}

impl fmt::Debug for PullOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullOptions")
            .field("platform", &self.platform)
            .field("names", &self.names)
            .field("media_types", &self.media_types)
            .field("include_subject", &self.include_subject)
            .field("include_referrers", &self.include_referrers)
            .field("config", &self.config)
            .field("keep_tar", &self.keep_tar)
            .field("overwrite", &self.overwrite)
            .field("concurrency", &self.concurrency)
            .field("max_entries", &self.max_entries)
            .field("max_unpacked_size", &self.max_unpacked_size)
            .finish_non_exhaustive()
    }
}
