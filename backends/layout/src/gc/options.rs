//! What garbage collection may remove.

use std::time::Duration;

/// What garbage collection may remove, and how long it waits.
///
/// ```
/// use std::time::Duration;
/// use tranship_layout::GcOptions;
///
/// let week = Duration::from_secs(7 * 24 * 3600);
/// let options = GcOptions::default()
///     .with_dry_run(true)
///     .with_untagged_older_than(Some(week));
/// assert_eq!(options.grace, Duration::from_secs(3600));
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcOptions {
    /// What has changed within this time is kept: one hour. It protects what others have pushed and
    /// not listed yet, their temporary files, and uploads that they may go on with. On object stores it
    /// is never less than 15 minutes.
    pub grace: Duration,
    /// Whether nothing is removed, and only reported what would be.
    pub dry_run: bool,
    /// From which age on manifests go that `index.json` lists without a tag; `None`, the default,
    /// keeps them. Their age is that of their content: it does not say when they lost a tag. One that
    /// is part of an index that stays, or that refers to a manifest that stays, is kept, and so is
    /// what is younger than the [grace](Self::grace).
    pub untagged_older_than: Option<Duration>,
    /// Whether referrers go that `index.json` lists without a tag, and whose subject is not there.
    /// By default they stay: a referrer may be pushed before its subject.
    pub dangling_referrers: bool,
}

impl Default for GcOptions {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(3600),
            dry_run: false,
            untagged_older_than: None,
            dangling_referrers: false,
        }
    }
}

impl GcOptions {
    /// Sets [`grace`](Self::grace).
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets [`dry_run`](Self::dry_run).
    #[must_use]
    pub fn with_dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Sets [`untagged_older_than`](Self::untagged_older_than).
    #[must_use]
    pub fn with_untagged_older_than(mut self, age: Option<Duration>) -> Self {
        self.untagged_older_than = age;
        self
    }

    /// Sets [`dangling_referrers`](Self::dangling_referrers).
    #[must_use]
    pub fn with_dangling_referrers(mut self, remove: bool) -> Self {
        self.dangling_referrers = remove;
        self
    }
}
