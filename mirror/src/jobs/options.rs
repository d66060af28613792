//! How many images are copied.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use tranship::{CopyOptions, Existing};

use super::observer::Observer;
use super::roots::Roots;

/// How [`Plan::make`](super::Plan::make) and [`Plan::carry_out`](super::Plan::carry_out) do their work.
#[non_exhaustive]
#[derive(Clone)]
pub struct JobOptions {
    /// How many images are copied at the same time; 4 by default.
    pub concurrency: NonZeroUsize,
    /// How many pieces of content of each image are copied at the same time; by default that of
    /// [`CopyOptions`].
    pub content_concurrency: NonZeroUsize,
    /// What a copy makes of manifests that the destination has. With [`Existing::Check`], images that are up to date are
    /// looked at too, and what is missing below them is copied.
    pub existing: Existing,
    /// From which size on, in bytes, a blob is continued after an interruption; `None`, the default, for never. See
    /// [`CopyOptions::resumable_from`].
    pub resumable_from: Option<u64>,
    /// Finds out what there is to do and does nothing.
    pub dry_run: bool,
    /// Is told what happens.
    pub observer: Option<Arc<dyn Observer>>,
    /// What is remembered of indexes of which some platforms are copied. A program that makes a plan again and again
    /// keeps the options, so that indexes which have not changed are not read again.
    pub roots: Arc<Roots>,
}

impl JobOptions {
    /// Sets [`concurrency`](Self::concurrency).
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: NonZeroUsize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Sets [`content_concurrency`](Self::content_concurrency).
    #[must_use]
    pub fn with_content_concurrency(mut self, concurrency: NonZeroUsize) -> Self {
        self.content_concurrency = concurrency;
        self
    }

    /// Sets [`existing`](Self::existing).
    #[must_use]
    pub fn with_existing(mut self, existing: Existing) -> Self {
        self.existing = existing;
        self
    }

    /// Sets [`resumable_from`](Self::resumable_from), in bytes.
    #[must_use]
    pub fn with_resumable_from(mut self, bytes: Option<u64>) -> Self {
        self.resumable_from = bytes;
        self
    }

    /// Sets [`dry_run`](Self::dry_run).
    #[must_use]
    pub fn with_dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Sets [`observer`](Self::observer).
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    pub(super) fn copy_options(&self) -> CopyOptions {
        let options = CopyOptions::default()
            .with_concurrency(self.content_concurrency.get())
            .with_existing(self.existing)
            .with_dry_run(self.dry_run);
        match self.resumable_from {
            Some(bytes) => options.with_resumable_from(bytes),
            None => options,
        }
    }
}

impl Default for JobOptions {
    fn default() -> Self {
        let content_concurrency = NonZeroUsize::new(CopyOptions::DEFAULT_CONCURRENCY);
        Self {
            concurrency: NonZeroUsize::MIN.saturating_add(3),
            content_concurrency: content_concurrency.unwrap_or(NonZeroUsize::MIN),
            existing: Existing::default(),
            resumable_from: None,
            dry_run: false,
            observer: None,
            roots: Arc::default(),
        }
    }
}

impl fmt::Debug for JobOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobOptions")
            .field("concurrency", &self.concurrency)
            .field("content_concurrency", &self.content_concurrency)
            .field("existing", &self.existing)
            .field("resumable_from", &self.resumable_from)
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}
