//! Garbage collection: removes what nothing leads to.
//!
//! The manifests are read first, without any lock (*mark*). Then blobs are removed in portions, each
//! under the right to change the index, and only if that is still the one that was marked (*sweep*).
//! If it is another one, the difference is marked, and the sweep tried again.

mod mark;
mod options;
mod report;
mod text;
mod untagged;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{Digest, Error, ErrorKind, Result};

use self::mark::{Kept, Marker, roots};
use crate::driver::{IndexVersion, Stored, StoredName};
use crate::index::Snapshot;
use crate::store::Store;
use crate::store::sweep::SweepOutcome;

pub use self::options::GcOptions;
pub use self::report::{Amount, GcReport, RemovedBlob, RemovedLeftover, Stray};

/// How many blobs are removed while nobody can change the index: some milliseconds' worth.
const PORTION: usize = 500;

/// How often in a row the index may change between marking and sweeping.
const MAX_ATTEMPTS: u32 = 100;

/// How many files are looked at, at the same time.
const LOOKS: usize = 16;

/// Removes from the layout what nothing leads to, as `options` say.
pub(crate) async fn collect(store: &Store, options: &GcOptions) -> Result<GcReport> {
    store.check_removal()?;
    let report = GcReport {
        dry_run: options.dry_run,
        ..GcReport::default()
    };
    if !store.is_layout().await? {
        return Err(store.no_layout());
    }
    let mut options = options.clone();
    options.grace = options.grace.max(store.driver().await?.least_grace());
    let mut collection = Collection {
        store,
        options: &options,
        marker: Marker::new(store),
        stored: HashMap::new(),
        report,
    };
    // The listing comes first: what is pushed from now on is not in it, and safe.
    collection.list().await?;
    let (snapshot, version) = store.read_index().await?;
    let plan = collection.plan(&snapshot, Policy::Listed).await?;
    collection.clear_leftovers().await?;
    if options.dry_run {
        let plan = collection.plan(&snapshot, Policy::Options).await?;
        return collection.describe(&snapshot, &plan).await;
    }
    // What no entry leads to goes first, without a byte being written: on a full disk that makes
    // room for the new index.
    let (snapshot, version, plan) = collection
        .sweep(snapshot, version, plan, Policy::Listed)
        .await?;
    if options.untagged_older_than.is_none() && !options.dangling_referrers {
        return collection.finish(&plan).await;
    }
    let plan = collection.plan(&snapshot, Policy::Options).await?;
    let (_, _, plan) = collection
        .sweep(snapshot, version, plan, Policy::Options)
        .await?;
    collection.finish(&plan).await
}

/// Which entries of the index count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    /// All of them.
    Listed,
    /// Those that the options leave.
    Options,
}

/// What is to be done for one state of the index.
#[derive(Debug)]
struct Plan {
    /// The index without the entries that go, if any do.
    content: Option<Arc<Snapshot>>,
    kept: Kept,
}

struct Collection<'a> {
    store: &'a Store,
    options: &'a GcOptions,
    marker: Marker<'a>,
    /// What was there when it began, but for what was removed since.
    stored: HashMap<Digest, Stored>,
    report: GcReport,
}

impl Collection<'_> {
    async fn list(&mut self) -> Result<()> {
        let mut pages = self.store.driver().await?.stored();
        while let Some(page) = pages.try_next().await? {
            for stored in page {
                match &stored.name {
                    StoredName::Blob(digest) => {
                        self.stored.insert(*digest, stored);
                    }
                    StoredName::Stray(path) => self.report.strays.push(Stray {
                        path: path.clone(),
                        size: stored.size,
                    }),
                }
            }
        }
        self.report
            .strays
            .sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(())
    }

    async fn plan(&mut self, snapshot: &Arc<Snapshot>, policy: Policy) -> Result<Plan> {
        let mut kept = Kept::default();
        let roots = roots(snapshot)?.into_iter().map(|(_, link)| link);
        self.marker.reach(roots.collect(), &mut kept).await?;
        if policy == Policy::Listed {
            let content = None;
            return Ok(Plan { content, kept });
        }
        let (dropped, kept) =
            untagged::dropped(snapshot, self.options, &mut self.marker, &self.stored).await?;
        let content = (!dropped.is_empty()).then(|| Arc::new(snapshot.without_unnamed(&dropped)));
        Ok(Plan { content, kept })
    }

    async fn clear_leftovers(&mut self) -> Result<()> {
        let driver = self.store.driver().await?;
        let grace = self.options.grace;
        let mut pages = driver.leftovers(grace);
        while let Some(page) = pages.try_next().await? {
            for leftover in page {
                if self.options.dry_run || driver.remove_leftover(&leftover, grace).await? {
                    self.report.removed_leftover(&leftover);
                }
            }
        }
        Ok(())
    }

    /// Whether a blob is to go.
    fn is_garbage(&self, digest: &Digest, stored: &Stored, plan: &Plan) -> bool {
        stored.age >= self.options.grace && !plan.kept.digests.contains(digest)
    }

    fn garbage(&self, plan: &Plan) -> Vec<Digest> {
        let stored = self.stored.iter();
        let garbage = stored.filter(|(digest, stored)| self.is_garbage(digest, stored, plan));
        let mut garbage: Vec<_> = garbage.map(|(digest, _)| *digest).collect();
        garbage.sort_unstable();
        garbage
    }

    /// Removes what is not kept, portion by portion, and answers the index as it is in the end.
    async fn sweep(
        &mut self,
        mut snapshot: Arc<Snapshot>,
        mut version: IndexVersion,
        mut plan: Plan,
        policy: Policy,
    ) -> Result<(Arc<Snapshot>, IndexVersion, Plan)> {
        // Taken from the end, portion by portion.
        let mut garbage = self.garbage(&plan);
        let mut tried = HashSet::new();
        let mut attempts = 0;
        loop {
            let portion = garbage.split_off(garbage.len().saturating_sub(PORTION));
            if portion.is_empty() && plan.content.is_none() {
                return Ok((snapshot, version, plan));
            }
            let content = plan.content.clone();
            let grace = self.options.grace;
            let SweepOutcome { swept, changed } = self
                .store
                .sweep(version.clone(), content.clone(), portion.clone(), grace)
                .await?;
            for stored in &swept.removed {
                if let StoredName::Blob(digest) = &stored.name {
                    self.report.removed(*digest, stored);
                    self.stored.remove(digest);
                }
            }
            version = swept.version.unwrap_or(version);
            if let Some(changed) = changed {
                attempts += 1;
                if attempts == MAX_ATTEMPTS {
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        "index.json changes faster than what it lists can be read",
                    )
                    .with_retryable(true)
                    .with_hint("try again when fewer push; nothing in use was removed"));
                }
                snapshot = changed;
                plan = self.plan(&snapshot, policy).await?;
                garbage = self.garbage(&plan);
                garbage.retain(|digest| !tried.contains(digest));
                continue;
            }
            attempts = 0;
            // What is young again, or gone, is not tried twice.
            tried.extend(portion);
            if let Some(content) = content {
                self.note_dropped(&snapshot, &content);
                snapshot = content;
                plan.content = None;
            }
        }
    }

    fn note_dropped(&mut self, before: &Snapshot, after: &Snapshot) {
        let dropped = before.descriptors();
        let dropped = dropped.filter(|entry| after.listed(entry.digest()).is_none());
        self.report.untagged.extend(dropped.cloned());
    }

    /// The report of a dry run.
    async fn describe(mut self, snapshot: &Snapshot, plan: &Plan) -> Result<GcReport> {
        if let Some(content) = &plan.content {
            self.note_dropped(snapshot, content);
        }
        for digest in self.garbage(plan) {
            if let Some(stored) = self.stored.remove(&digest) {
                self.report.removed(digest, &stored);
            }
        }
        self.finish(plan).await
    }

    async fn finish(mut self, plan: &Plan) -> Result<GcReport> {
        for (digest, stored) in &self.stored {
            if plan.kept.digests.contains(digest) {
                self.report.referenced.add(stored.size);
            } else {
                self.report.young.add(stored.size);
            }
        }
        self.report
            .removed
            .sort_unstable_by_key(|removed| removed.digest);
        let driver = self.store.driver().await?;
        let missing = plan.kept.digests.iter().copied();
        let missing: Vec<_> = missing
            .filter(|digest| !self.stored.contains_key(digest))
            .collect();
        // What was pushed since the listing is there.
        let mut absent: Vec<Digest> = stream::iter(missing)
            .map(|digest| async move {
                let size = driver.blob_size(&digest).await?;
                Ok::<_, Error>(size.is_none().then_some(digest))
            })
            .buffer_unordered(LOOKS)
            .try_filter_map(|digest| async move { Ok(digest) })
            .try_collect()
            .await?;
        absent.sort_unstable();
        self.report.absent = absent;
        Ok(self.report)
    }
}
