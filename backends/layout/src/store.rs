//! What the blobs, the manifests and the repository of one layout share.

mod closure;
pub(crate) mod sweep;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::Semaphore;
use tranship::blocking;
use tranship::{Capabilities, Descriptor, Digest, Error, ErrorKind, Result};

use crate::driver::{Driver, IndexChange, IndexRead, IndexState, IndexVersion, Transaction};
use crate::graph::{Graph, Node, Reachable, decode};
use crate::index::{Draft, Edit, Holders as _, Request, Snapshot, Writer, fail};
use crate::options::LayoutOptions;
use crate::pending::{Pending, Taken};
use crate::sizes::Sizes;

/// The only version of the format that there has been so far.
const VERSION: &str = "1.0.0";

/// From this size on, in bytes, JSON is read on a blocking thread.
const LARGE: usize = 64 * 1024;

/// How many tasks read the index at the same time: each may hold all of it.
const READERS: usize = 4;

/// How many manifests are read at the same time.
const MANIFESTS: usize = 16;

/// One layout.
#[derive(Debug)]
pub(crate) struct Store {
    core: Arc<Core>,
    writer: Arc<Writer>,
    /// In a batch, what waits for its end.
    batch: Option<Batch>,
}

#[derive(Debug)]
struct Batch {
    pending: Pending,
    transaction: Box<dyn Transaction>,
}

/// The part that a change of the index, once begun, keeps alive.
#[derive(Debug)]
struct Core {
    driver: Arc<dyn Driver>,
    max_manifest_size: u64,
    max_index_size: u64,
    cached: Arc<Mutex<Option<Cached>>>,
    readers: Arc<Semaphore>,
    graph: Arc<Graph>,
    is_checked: AtomicBool,
}

/// The content that a descriptor with the media type of a manifest names.
enum Loaded {
    Manifest(Arc<Node>),
    /// Undamaged content that is not a manifest.
    Other,
    Absent,
}

#[derive(Debug, Clone)]
struct Cached {
    version: IndexVersion,
    snapshot: Arc<Snapshot>,
}

impl Store {
    pub(crate) fn new(driver: Arc<dyn Driver>, options: &LayoutOptions) -> Self {
        Self {
            core: Arc::new(Core {
                driver,
                max_manifest_size: options.max_manifest_size,
                max_index_size: options.max_index_size,
                cached: Arc::default(),
                readers: Arc::new(Semaphore::new(READERS)),
                graph: Arc::default(),
                is_checked: AtomicBool::new(false),
            }),
            writer: Arc::default(),
            batch: None,
        }
    }

    /// The same layout, where changes wait for [`finish`](Self::finish). What is known of the layout
    /// is shared.
    pub(crate) fn for_batch(&self) -> Self {
        let core = &self.core;
        let transaction = core.driver.begin();
        let driver = transaction.driver();
        let writer = if transaction.is_exclusive() {
            Arc::default()
        } else {
            Arc::clone(&self.writer)
        };
        Self {
            core: Arc::new(Core {
                driver,
                max_manifest_size: core.max_manifest_size,
                max_index_size: core.max_index_size,
                cached: Arc::clone(&core.cached),
                readers: Arc::clone(&core.readers),
                graph: Arc::clone(&core.graph),
                is_checked: AtomicBool::new(core.is_checked.load(Ordering::Relaxed)),
            }),
            writer,
            batch: Some(Batch {
                pending: Pending::default(),
                transaction,
            }),
        }
    }

    pub(crate) fn is_batch(&self) -> bool {
        self.batch.is_some()
    }

    /// How many pushes at a time are of use in this batch.
    pub(crate) fn batch_concurrency(&self) -> Option<usize> {
        let batch = self.batch.as_ref()?;
        batch.transaction.is_exclusive().then_some(1)
    }

    /// Whether something can be removed: not in a batch.
    ///
    /// # Errors
    /// `Unsupported`.
    pub(crate) fn check_removal(&self) -> Result<()> {
        if self.is_batch() {
            return Err(Error::unsupported("a batch can only add")
                .with_hint("remove through the repository itself"));
        }
        Ok(())
    }

    /// Remembers that the batch, if this is one, needs a blob that it has stored.
    pub(crate) fn rely_on(&self, digest: &Digest, size: u64) {
        if let Some(Batch { pending, .. }) = &self.batch {
            pending.rely_on(digest, size);
        }
    }

    /// Remembers that the batch, if this is one, needs a blob that it has found.
    pub(crate) fn rely_on_found(&self, digest: &Digest, size: u64) {
        if let Some(Batch { pending, .. }) = &self.batch {
            pending.rely_on_found(digest, size);
        }
    }

    /// Takes a blob that was found for stored: makes it durable, now or with the batch.
    pub(crate) async fn secure(&self, digest: &Digest, size: u64) -> Result<()> {
        if self.is_batch() {
            self.rely_on_found(digest, size);
            return Ok(());
        }
        let mut found = Sizes::default();
        found.insert(digest, size);
        self.core.driver.secure_blobs(Arc::new(found)).await
    }

    /// Whether a manifest that is there can be taken for complete, with all that it refers to.
    ///
    /// One that the index leads to was listed when it was complete, and nothing below it is removed
    /// since. One that nothing leads to may be what a copy left behind that died, and garbage
    /// collection may have taken what is below it; a batch looks below it again. Only direct
    /// children of listed indexes count, which is cheap to tell and errs on the safe side.
    pub(crate) async fn vouches_for(&self, digest: &Digest) -> Result<bool> {
        let Some(Batch { pending, .. }) = &self.batch else {
            return Ok(true);
        };
        if pending.lists(digest) {
            return Ok(true);
        }
        let base = pending.base.get_or_try_init(|| self.core.secured_index());
        let base = base.await?;
        Ok(self.leads_to(base, digest).await)
    }

    /// Whether `snapshot` lists the manifest `digest`, or an index that it lists has it as a child.
    pub(crate) async fn leads_to(&self, snapshot: &Snapshot, digest: &Digest) -> bool {
        if snapshot.listed(digest).is_some() {
            return true;
        }
        self.load_indexes(snapshot).await;
        let is_listed = |other: &Digest| snapshot.listed(other).is_some();
        self.core.graph.holds(digest, &is_listed)
    }

    /// Makes durable and visible what waits.
    pub(crate) async fn finish(&self) -> Result<()> {
        let Some(Batch {
            pending,
            transaction,
        }) = &self.batch
        else {
            return Ok(());
        };
        let driver = self.driver().await?;
        transaction.publish().await?;
        let Taken {
            edits,
            required,
            found,
        } = pending.take();
        if !found.is_empty() {
            driver.secure_blobs(found).await?;
        }
        if edits.is_empty() {
            return transaction.commit().await;
        }
        let (snapshot, version) = self.core.versioned_index().await?;
        if edits.iter().any(|edit| snapshot.needs_indexes(edit)) {
            self.load_indexes(&snapshot).await;
        }
        let is_idle = |edit| snapshot.is_idle(edit, &*self.core.graph);
        if edits.iter().all(is_idle) && self.is_layout().await? {
            self.secure_index(version.as_ref()).await?;
            return transaction.commit().await;
        }
        self.write(edits, required).await
    }

    pub(crate) fn max_manifest_size(&self) -> u64 {
        self.core.max_manifest_size
    }

    pub(crate) fn max_index_size(&self) -> u64 {
        self.core.max_index_size
    }

    /// The driver of what may be no layout that we understand.
    pub(crate) fn unchecked_driver(&self) -> &dyn Driver {
        &*self.core.driver
    }

    /// That there is no layout.
    pub(crate) fn no_layout(&self) -> Error {
        Error::new(ErrorKind::NotFound, "there is no image layout here")
            .with_subject(self.location())
            .with_hint("a layout is a directory with a file named oci-layout")
    }

    /// Where the layout lies, for people.
    pub(crate) fn location(&self) -> String {
        self.core.driver.location()
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        self.core.driver.capabilities()
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.core.graph
    }

    /// The driver of a layout whose version is known to be one that we understand.
    ///
    /// # Errors
    /// `UnsupportedVersion`, and `Corrupt` if the version cannot be told.
    pub(crate) async fn driver(&self) -> Result<&dyn Driver> {
        self.core.check_version().await?;
        Ok(&*self.core.driver)
    }

    /// Whether there is a layout yet.
    ///
    /// # Errors
    /// As [`driver`](Self::driver).
    pub(crate) async fn is_layout(&self) -> Result<bool> {
        self.core.check_version().await?;
        Ok(self.core.is_checked.load(Ordering::Relaxed))
    }

    /// `index.json` as it is now.
    pub(crate) async fn index(&self) -> Result<Arc<Snapshot>> {
        self.core.check_version().await?;
        let snapshot = self.core.index().await?;
        Ok(match &self.batch {
            Some(Batch { pending, .. }) => pending.over(snapshot, &*self.core.graph),
            None => snapshot,
        })
    }

    /// Returns the current `index.json`, without the changes of a batch, and its state.
    pub(crate) async fn versioned_index(&self) -> Result<(Arc<Snapshot>, Option<IndexVersion>)> {
        self.core.check_version().await?;
        self.core.versioned_index().await
    }

    /// Makes durable the index in the state `version`, and all that it leads to.
    pub(crate) async fn secure_index(&self, version: Option<&IndexVersion>) -> Result<()> {
        self.core.secure_index(version).await
    }

    /// `index.json` as this process saw it last, which need not be as it is now.
    pub(crate) async fn last_index(&self) -> Result<Arc<Snapshot>> {
        match self.core.cached() {
            Some(cached) => Ok(cached.snapshot),
            None => self.index().await,
        }
    }

    /// Changes `index.json`. When this has succeeded, everybody sees it; in a batch, when that is
    /// finished.
    pub(crate) async fn commit(&self, edit: Edit) -> Result<()> {
        self.core.check_version().await?;
        match &self.batch {
            Some(Batch { pending, .. }) => {
                pending.add(edit);
                Ok(())
            }
            None => self.write(vec![edit], Vec::new()).await,
        }
    }

    async fn write(&self, edits: Vec<Edit>, required: Vec<Arc<Sizes>>) -> Result<()> {
        self.writer
            .commit(edits, required, |requests| {
                Arc::clone(&self.core).write(requests).boxed()
            })
            .await
    }

    /// Whether a change would leave the index as it is.
    pub(crate) fn is_idle(&self, snapshot: &Snapshot, edit: &Edit) -> bool {
        snapshot.is_idle(edit, &*self.core.graph)
    }

    /// What lies under `digest`, if it is small enough for a manifest.
    pub(crate) async fn read_manifest(&self, digest: &Digest) -> Result<Option<Bytes>> {
        self.driver()
            .await?
            .read_blob(digest, self.max_manifest_size())
            .await
    }

    /// What is known of the manifest `target`; `None` if it is not there, or no manifest.
    ///
    /// # Errors
    /// `Corrupt` if it is damaged.
    pub(crate) async fn node(&self, target: &Descriptor) -> Result<Option<Arc<Node>>> {
        self.core.node(target).await
    }

    /// Reads the indexes that are listed, so that the graph knows their children. What cannot be
    /// read holds nothing.
    pub(crate) async fn load_indexes(&self, snapshot: &Snapshot) {
        let unknown: Vec<_> = snapshot
            .descriptors()
            .filter(|entry| entry.media_type().is_index())
            .filter(|entry| self.core.graph.node(entry.digest()).is_none())
            .cloned()
            .collect();
        stream::iter(unknown)
            .map(|index| async move { self.core.node(&index).await })
            .buffer_unordered(MANIFESTS)
            .for_each(|_| std::future::ready(()))
            .await;
    }

    /// The manifests that the index leads to, and what kept some of them from being read. What is
    /// not there is passed over: a layout need not hold everything that it names.
    pub(crate) async fn reachable(&self) -> Result<(Arc<Reachable>, Option<Error>)> {
        let snapshot = self.index().await?;
        if let Some(known) = self.core.graph.known_reachable(&snapshot) {
            return Ok((known, None));
        }
        let mut walk = self.core.graph.walk(&snapshot);
        let mut failure = None;
        loop {
            let unknown = walk.take_unknown();
            if unknown.is_empty() {
                break;
            }
            let mut loads = stream::iter(unknown)
                .map(|manifest| async move { self.core.load(&manifest).await })
                .buffer_unordered(MANIFESTS);
            while let Some(loaded) = loads.next().await {
                match loaded {
                    Ok(Loaded::Manifest(node)) => walk.found(&node),
                    // It will not become a manifest.
                    Ok(Loaded::Other) => {}
                    Ok(Loaded::Absent) => walk.missed(),
                    Err(error) => {
                        walk.missed();
                        failure.get_or_insert(error);
                    }
                }
            }
        }
        let reachable = Arc::new(walk.finish());
        self.core
            .graph
            .remember_reachable(snapshot, Arc::clone(&reachable));
        Ok((reachable, failure))
    }
}

impl Core {
    async fn check_version(&self) -> Result<()> {
        if self.is_checked.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.driver.version().await? {
            None => Ok(()),
            Some(version) if version == VERSION => {
                self.is_checked.store(true, Ordering::Relaxed);
                Ok(())
            }
            Some(version) => Err(Error::new(
                ErrorKind::UnsupportedVersion,
                format!("the image layout has version {version:?}, only {VERSION} is known"),
            )
            .with_subject(self.driver.location())
            .with_hint("a newer release may know it; nothing was changed")),
        }
    }

    fn in_index(&self, error: Error) -> Error {
        error.with_subject(format_args!("{}/index.json", self.driver.location()))
    }

    async fn index(&self) -> Result<Arc<Snapshot>> {
        let (snapshot, _) = self.versioned_index().await?;
        Ok(snapshot)
    }

    /// The index, which is durable then, with all that it leads to.
    async fn secured_index(&self) -> Result<Arc<Snapshot>> {
        let (snapshot, version) = self.versioned_index().await?;
        self.secure_index(version.as_ref()).await?;
        Ok(snapshot)
    }

    async fn secure_index(&self, version: Option<&IndexVersion>) -> Result<()> {
        match version {
            Some(version) => self.driver.secure_index(version).await,
            None => Ok(()),
        }
    }

    /// `None` as its version says that there is none.
    async fn versioned_index(&self) -> Result<(Arc<Snapshot>, Option<IndexVersion>)> {
        let _permit = self.readers.acquire().await.map_err(|error| {
            Error::new(ErrorKind::Io, "the layout was closed").with_source(error)
        })?;
        let known = self.cached();
        let version = known.as_ref().map(|known| known.version.clone());
        match self.driver.read_index(version, self.max_index_size).await? {
            IndexRead::Absent => Ok((Arc::new(Snapshot::empty()), None)),
            IndexRead::Unchanged(version) => {
                let snapshot = known.map_or_else(|| Arc::new(Snapshot::empty()), |k| k.snapshot);
                self.cache(version.clone(), Arc::clone(&snapshot));
                Ok((snapshot, Some(version)))
            }
            IndexRead::Read(content, version) => {
                let snapshot = if content.len() < LARGE {
                    Snapshot::decode(&content)
                } else {
                    blocking::run(move || Snapshot::decode(&content)).await
                };
                let snapshot = Arc::new(snapshot.map_err(|error| self.in_index(error))?);
                self.cache(version.clone(), Arc::clone(&snapshot));
                Ok((snapshot, Some(version)))
            }
        }
    }

    fn cached(&self) -> Option<Cached> {
        let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        cached.clone()
    }

    fn cache(&self, version: IndexVersion, snapshot: Arc<Snapshot>) {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        *cached = Some(Cached { version, snapshot });
    }

    async fn node(&self, target: &Descriptor) -> Result<Option<Arc<Node>>> {
        Ok(match self.load(target).await? {
            Loaded::Manifest(node) => Some(node),
            Loaded::Other | Loaded::Absent => None,
        })
    }

    async fn load(&self, target: &Descriptor) -> Result<Loaded> {
        if let Some(node) = self.graph.node(target.digest()) {
            return Ok(Loaded::Manifest(node));
        }
        let digest = *target.digest();
        let media_type = target.media_type().clone();
        let content = match self.driver.read_blob(&digest, self.max_manifest_size).await {
            Ok(Some(content)) => content,
            Ok(None) => return Ok(Loaded::Absent),
            // A blob that is listed as a manifest.
            Err(error) if error.kind() == ErrorKind::SizeExceedsLimit => return Ok(Loaded::Other),
            Err(error) => return Err(error),
        };
        let decoded = if content.len() < LARGE {
            decode(&digest, &media_type, &content)?
        } else {
            blocking::run(move || decode(&digest, &media_type, &content)).await?
        };
        let Some((plain, document)) = decoded else {
            return Ok(Loaded::Other);
        };
        let (node, leaves) = Node::new(&plain, document);
        let node = Arc::new(node);
        self.graph.insert(&node, &leaves);
        Ok(Loaded::Manifest(node))
    }

    /// Makes the changes of all who still wait.
    async fn write(self: Arc<Self>, mut requests: Vec<Request>) {
        requests.retain(|request| !request.answer.is_closed());
        if requests.is_empty() {
            return;
        }
        match self.write_together(&requests).await {
            Ok(outcomes) => {
                for (request, outcome) in requests.into_iter().zip(outcomes) {
                    let _ = request.answer.send(outcome);
                }
            }
            // What one of them goes on being there is gone: the others need not suffer for that.
            Err(error) if error.kind() == ErrorKind::Conflict && requests.len() > 1 => {
                for request in requests {
                    let outcome = self.write_together(std::slice::from_ref(&request)).await;
                    let outcome = outcome.and_then(|mut outcomes| outcomes.pop().unwrap_or(Ok(())));
                    let _ = request.answer.send(outcome);
                }
            }
            Err(error) => {
                let answers = requests.into_iter().map(|request| request.answer);
                fail(answers.collect(), error);
            }
        }
    }

    /// Makes changes with one write, and answers how each request fared.
    async fn write_together(self: &Arc<Self>, requests: &[Request]) -> Result<Vec<Result<()>>> {
        let edits: Vec<_> = requests
            .iter()
            .map(|request| Arc::clone(&request.edits))
            .collect();
        let required: Vec<_> = requests
            .iter()
            .map(|request| Arc::clone(&request.required))
            .collect();
        // Another state is read again, to be checked before it is changed.
        let known = self
            .cached()
            .filter(|known| known.snapshot.is_unambiguous());
        let version = known.as_ref().map(|known| known.version.clone());
        let written = Arc::new(Mutex::new(None));
        let edit = {
            let (core, written) = (Arc::clone(self), Arc::clone(&written));
            Box::new(move |found: IndexState<'_>| {
                let base = match found {
                    IndexState::Absent => Arc::new(Snapshot::empty()),
                    IndexState::Unchanged => match &known {
                        Some(known) => Arc::clone(&known.snapshot),
                        None => Arc::new(Snapshot::empty()),
                    },
                    IndexState::Changed(content) => Arc::new(
                        Snapshot::decode_for_change(content)
                            .map_err(|error| core.in_index(error))?,
                    ),
                };
                let mut draft = Draft::new(&base, &*core.graph);
                let outcomes: Vec<Result<()>> = edits
                    .iter()
                    .map(|edits| edits.iter().try_for_each(|edit| draft.apply(edit)))
                    .collect();
                let (snapshot, remove) = draft.finish();
                let content = snapshot.as_ref().map(Snapshot::encode).transpose()?;
                let snapshot = snapshot.map_or(base, Arc::new);
                let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
                *written = Some((snapshot, outcomes));
                Ok(IndexChange {
                    content,
                    remove,
                    required: required.clone(),
                })
            })
        };
        let version = self
            .driver
            .update_index(version, self.max_index_size, edit)
            .await?;
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((snapshot, outcomes)) = written.take() else {
            return Ok(requests.iter().map(|_| Ok(())).collect());
        };
        if let Some(version) = version {
            self.cache(version, snapshot);
        }
        Ok(outcomes)
    }
}
