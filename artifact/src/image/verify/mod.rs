//! Reads and hashes everything that a reference leads to.

mod check;
mod report;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tranship::{
    Descriptor, Digest, Error, ErrorKind, ListOptions, MAX_MANIFEST_SIZE, Repository, Result,
    ResultExt as _, TagOrDigest, digest_tagged,
};

pub use report::{Amount, Finding, FindingKind, Severity, VerifyProgress, VerifyReport};

use check::{Checked, Role, Task};

/// How many manifests and blobs a check looks at.
const MAX_NODES: usize = 1_000_000;

/// How [`verify`] checks.
#[non_exhaustive]
#[derive(Clone)]
pub struct VerifyOptions {
    /// Whether referrers are checked, at all levels, and artifacts that tags attach.
    pub referrers: bool,
    /// Whether layers are decompressed, and compared with the digests that the configs of images have of them.
    pub layers: bool,
    /// The largest manifest that is read, in bytes; by default 4 MiB.
    pub max_manifest_size: u64,
    /// How many manifests and blobs are read at the same time; by default 6.
    pub concurrency: usize,
    progress: Option<Arc<Progress>>,
}

type Progress = dyn Fn(VerifyProgress) + Send + Sync;

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            referrers: false,
            layers: false,
            max_manifest_size: MAX_MANIFEST_SIZE,
            concurrency: 6,
            progress: None,
        }
    }
}

impl VerifyOptions {
    /// Sets [`referrers`](Self::referrers).
    #[must_use]
    pub fn with_referrers(mut self, referrers: bool) -> Self {
        self.referrers = referrers;
        self
    }

    /// Sets [`layers`](Self::layers).
    #[must_use]
    pub fn with_layers(mut self, layers: bool) -> Self {
        self.layers = layers;
        self
    }

    /// Sets [`max_manifest_size`](Self::max_manifest_size), in bytes.
    #[must_use]
    pub fn with_max_manifest_size(mut self, bytes: u64) -> Self {
        self.max_manifest_size = bytes;
        self
    }

    /// Sets [`concurrency`](Self::concurrency); at least 1.
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency.max(1);
        self
    }

    /// Calls `progress` while content is read.
    #[must_use]
    pub fn with_progress(
        mut self,
        progress: impl Fn(VerifyProgress) + Send + Sync + 'static,
    ) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }
}

impl fmt::Debug for VerifyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyOptions")
            .field("referrers", &self.referrers)
            .field("layers", &self.layers)
            .field("max_manifest_size", &self.max_manifest_size)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

/// Reads and hashes everything that `reference` leads to: manifests, configs, layers and subjects; with `None`, what all
/// tags of the repository lead to. Content is read once, however often it is referred to, and nothing is kept.
///
/// What is missing or damaged is a [`Finding`]; the check continues. Dropping the future ends it. With
/// [`VerifyOptions::layers`] it needs a tokio runtime.
///
/// ```
/// use tranship::{Repository, Result};
/// use tranship_artifact::image::{VerifyOptions, verify};
///
/// async fn is_sound(repository: &dyn Repository) -> Result<bool> {
///     let reference = "v1".parse()?;
///     let report = verify(repository, Some(&reference), &VerifyOptions::default()).await?;
///     Ok(report.sound)
/// }
/// ```
///
/// # Errors
/// - [`NotFound`](ErrorKind::NotFound) if `reference` names nothing.
/// - [`SizeExceedsLimit`](ErrorKind::SizeExceedsLimit) if it leads to more than a million manifests and blobs.
/// - What the repository fails with, such as missing rights or a lost connection: nothing is known then of what is
///   left.
pub async fn verify(
    repository: &dyn Repository,
    reference: Option<&TagOrDigest>,
    options: &VerifyOptions,
) -> Result<VerifyReport> {
    let mut run = Run {
        repository,
        options,
        seen: HashMap::new(),
        waiting: VecDeque::new(),
        report: VerifyReport::default(),
    };
    match reference {
        Some(reference) => {
            let root = repository.resolve(reference).await;
            run.enqueue(Task::root(root.during("resolve", reference)?))?;
        }
        None => {
            let mut tags = repository.tags(ListOptions::default());
            while let Some(tag) = tags.try_next().await.during("list the tags", "")? {
                let reference = TagOrDigest::Tag(tag);
                match repository.resolve(&reference).await {
                    Ok(root) => run.enqueue(Task::root(root))?,
                    // It was removed after it was listed, or leads to nothing.
                    Err(error) if error.is_not_found() => run.report.findings.push(Finding::new(
                        FindingKind::Missing,
                        &reference,
                        "the tag is listed and leads to nothing",
                    )),
                    Err(error) => {
                        return Err(error.with_operation("resolve").with_subject(reference));
                    }
                }
            }
        }
    }
    run.finish().await
}

struct Run<'a> {
    repository: &'a dyn Repository,
    options: &'a VerifyOptions,
    /// The sizes by which content was referred to.
    seen: HashMap<Digest, u64>,
    waiting: VecDeque<Task>,
    report: VerifyReport,
}

impl Run<'_> {
    /// Adds content to check, unless it has been added before.
    fn enqueue(&mut self, task: Task) -> Result<()> {
        let (digest, size) = (*task.descriptor.digest(), task.descriptor.size());
        match self.seen.get(&digest) {
            Some(known) if *known == size => return Ok(()),
            Some(known) => {
                let message = format!("is referred to with {size} bytes and with {known}");
                let finding = Finding::new(FindingKind::WrongSize, digest, message);
                self.report.findings.push(task.found(finding));
                return Ok(());
            }
            None => {}
        }
        if self.seen.len() == MAX_NODES {
            return Err(Error::new(
                ErrorKind::SizeExceedsLimit,
                format!("it leads to more than {MAX_NODES} manifests and blobs"),
            ));
        }
        self.seen.insert(digest, size);
        self.report.total.count += 1;
        self.report.total.bytes = self.report.total.bytes.saturating_add(size);
        self.waiting.push_back(task);
        Ok(())
    }

    async fn finish(mut self) -> Result<VerifyReport> {
        let (repository, options) = (self.repository, self.options);
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < options.concurrency
                && let Some(task) = self.waiting.pop_front()
            {
                running.push(async move {
                    let checked = check::check(repository, &task, options).await?;
                    let referrers =
                        if options.referrers && task.descriptor.media_type().is_manifest() {
                            referrers(repository, &task.descriptor).await?
                        } else {
                            Vec::new()
                        };
                    Ok::<_, Error>((task, checked, referrers))
                });
            }
            let Some(done) = running.next().await else {
                break;
            };
            let (task, Checked { findings, tasks }, referrers) = done?;
            self.report.checked.count += 1;
            self.report.checked.bytes += task.descriptor.size();
            self.report.findings.extend(findings);
            for task in tasks {
                self.enqueue(task)?;
            }
            for referrer in referrers {
                self.enqueue(Task::new(
                    referrer,
                    Role::Referrer,
                    task.descriptor.digest(),
                ))?;
            }
            if let Some(progress) = &options.progress {
                progress(VerifyProgress {
                    count: self.report.checked.count,
                    bytes: self.report.checked.bytes,
                    total_count: self.report.total.count,
                    total_bytes: self.report.total.bytes,
                });
            }
        }
        let mut report = self.report;
        report.findings.sort_by(|a, b| {
            let key = |finding: &Finding| (finding.severity, finding.kind, finding.subject.clone());
            key(a).cmp(&key(b))
        });
        report.sound = report.count(Severity::Error) == 0;
        Ok(report)
    }
}

/// Lists the referrers of a manifest, and artifacts that tags attach.
async fn referrers(repository: &dyn Repository, subject: &Descriptor) -> Result<Vec<Descriptor>> {
    let mut found = Vec::new();
    let mut listing = repository.referrers(subject, None);
    while let Some(referrer) = listing
        .try_next()
        .await
        .during("list the referrers of", subject.digest())?
    {
        if found.len() == MAX_NODES {
            break;
        }
        found.push(referrer.plain());
    }
    let tagged = digest_tagged(repository, subject.digest()).await?;
    found.extend(tagged.into_iter().map(|(_, descriptor)| descriptor));
    Ok(found)
}
