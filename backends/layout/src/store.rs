//! What the blobs, the manifests and the repository of one layout share.

mod closure;
mod layout_index;
pub(crate) mod sweep;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tranship::{Capabilities, Descriptor, Digest, Error, ErrorKind, Result};

use self::layout_index::{LayoutIndex, Loaded};
use crate::deletes::Deletes;
use crate::driver::{Driver, IndexVersion, Transaction};
use crate::graph::{Graph, Node, Reachable};
use crate::index::{Edit, Holders as _, Snapshot, Writer};
use crate::options::LayoutOptions;
use crate::pending::{Pending, Taken};
use crate::sizes::Sizes;

/// How many manifests are read at the same time.
const MANIFESTS: usize = 16;

/// One layout.
#[derive(Debug)]
pub(crate) struct Store {
    index: Arc<LayoutIndex>,
    writer: Arc<Writer>,
    deletes: Arc<Deletes>,
    /// In a batch, what waits for its end.
    batch: Option<Batch>,
}

#[derive(Debug)]
struct Batch {
    pending: Pending,
    transaction: Box<dyn Transaction>,
}

impl Store {
    pub(crate) fn new(driver: Arc<dyn Driver>, options: &LayoutOptions) -> Self {
        Self {
            index: Arc::new(LayoutIndex::new(driver, options)),
            writer: Arc::default(),
            deletes: Arc::default(),
            batch: None,
        }
    }

    /// The same layout, where changes wait for [`finish`](Self::finish). What is known of the layout
    /// is shared.
    pub(crate) fn for_batch(&self) -> Self {
        let index = &self.index;
        let transaction = index.driver.begin();
        let driver = transaction.driver();
        let writer = if transaction.is_exclusive() {
            Arc::default()
        } else {
            Arc::clone(&self.writer)
        };
        Self {
            index: Arc::new(index.with_driver(driver)),
            writer,
            deletes: Arc::clone(&self.deletes),
            batch: Some(Batch {
                pending: Pending::default(),
                transaction,
            }),
        }
    }

    /// Returns how many entries the index has in memory.
    pub(crate) fn known_entries(&self) -> usize {
        self.index.cached().map_or(0, |known| known.snapshot.len())
    }

    pub(crate) fn deletes(&self) -> &Deletes {
        &self.deletes
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
        self.index.driver.secure_blobs(Arc::new(found)).await
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
        let base = pending.base.get_or_try_init(|| self.index.secured_index());
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
        self.index.graph.holds(digest, &is_listed)
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
        let (snapshot, version) = self.index.versioned_index().await?;
        if edits.iter().any(|edit| snapshot.needs_indexes(edit)) {
            self.load_indexes(&snapshot).await;
        }
        let is_idle = |edit| snapshot.is_idle(edit, &*self.index.graph);
        if edits.iter().all(is_idle) && self.is_layout().await? {
            self.secure_index(version.as_ref()).await?;
            return transaction.commit().await;
        }
        self.write(edits, required).await
    }

    pub(crate) fn max_manifest_size(&self) -> u64 {
        self.index.max_manifest_size
    }

    pub(crate) fn max_index_size(&self) -> u64 {
        self.index.max_index_size
    }

    /// The driver of what may be no layout that we understand.
    pub(crate) fn unchecked_driver(&self) -> &dyn Driver {
        &*self.index.driver
    }

    /// That there is no layout.
    pub(crate) fn no_layout(&self) -> Error {
        Error::new(ErrorKind::NotFound, "there is no image layout here")
            .with_subject(self.location())
            .with_hint("a layout is a directory with a file named oci-layout")
    }

    /// Where the layout lies, for people.
    pub(crate) fn location(&self) -> String {
        self.index.driver.location()
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        self.index.driver.capabilities()
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.index.graph
    }

    /// The driver of a layout whose version is known to be one that we understand.
    ///
    /// # Errors
    /// `UnsupportedVersion`, and `Corrupt` if the version cannot be told.
    pub(crate) async fn driver(&self) -> Result<&dyn Driver> {
        self.index.check_version().await?;
        Ok(&*self.index.driver)
    }

    /// Whether there is a layout yet.
    ///
    /// # Errors
    /// As [`driver`](Self::driver).
    pub(crate) async fn is_layout(&self) -> Result<bool> {
        self.index.check_version().await?;
        Ok(self.index.is_checked())
    }

    /// `index.json` as it is now.
    pub(crate) async fn index(&self) -> Result<Arc<Snapshot>> {
        self.index.check_version().await?;
        let snapshot = self.index.index().await?;
        Ok(match &self.batch {
            Some(Batch { pending, .. }) => pending.over(snapshot, &*self.index.graph),
            None => snapshot,
        })
    }

    /// Returns the current `index.json`, without the changes of a batch, and its state.
    pub(crate) async fn versioned_index(&self) -> Result<(Arc<Snapshot>, Option<IndexVersion>)> {
        self.index.check_version().await?;
        self.index.versioned_index().await
    }

    /// Makes durable the index in the state `version`, and all that it leads to.
    pub(crate) async fn secure_index(&self, version: Option<&IndexVersion>) -> Result<()> {
        self.index.secure_index(version).await
    }

    /// `index.json` as this process saw it last, which need not be as it is now.
    pub(crate) async fn last_index(&self) -> Result<Arc<Snapshot>> {
        match self.index.cached() {
            Some(cached) => Ok(cached.snapshot),
            None => self.index().await,
        }
    }

    /// Changes `index.json`. When this has succeeded, everybody sees it; in a batch, when that is
    /// finished.
    pub(crate) async fn commit(&self, edit: Edit) -> Result<()> {
        self.index.check_version().await?;
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
                Arc::clone(&self.index).write(requests).boxed()
            })
            .await
    }

    /// Whether a change would leave the index as it is.
    pub(crate) fn is_idle(&self, snapshot: &Snapshot, edit: &Edit) -> bool {
        snapshot.is_idle(edit, &*self.index.graph)
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
        self.index.node(target).await
    }

    /// Reads the indexes that are listed, so that the graph knows their children. What cannot be
    /// read holds nothing.
    pub(crate) async fn load_indexes(&self, snapshot: &Snapshot) {
        let unknown = self.index.graph.unknown(snapshot.indexes());
        stream::iter(unknown)
            .map(|index| async move { self.index.node(&index).await })
            .buffer_unordered(MANIFESTS)
            .for_each(|_| std::future::ready(()))
            .await;
    }

    /// The manifests that the index leads to, and what kept some of them from being read. What is
    /// not there is passed over: a layout need not hold everything that it names.
    pub(crate) async fn reachable(&self) -> Result<(Arc<Reachable>, Option<Error>)> {
        let snapshot = self.index().await?;
        if let Some(known) = self.index.graph.known_reachable(&snapshot) {
            return Ok((known, None));
        }
        let mut walk = self.index.graph.walk(&snapshot);
        let mut failure = None;
        loop {
            let unknown = walk.take_unknown();
            if unknown.is_empty() {
                break;
            }
            let mut loads = stream::iter(unknown)
                .map(|manifest| async move { self.index.load(&manifest).await })
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
        self.index
            .graph
            .remember_reachable(snapshot, Arc::clone(&reachable));
        Ok((reachable, failure))
    }
}
