//! The name of one repository in the catalog.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tranship::{RepositoryName, Result};

use super::super::keys::layout_prefix;
use super::super::recent_blobs::Timestamp;
use super::super::walk::has_blobs;
use super::Catalog;
use super::rebuild::LEAST_EMPTY;

/// How long after an index listed something the catalog is assumed to have the name. No process removes it sooner than
/// [`LEAST_EMPTY`] after that, which is longer.
pub(super) const ASSUMED: Duration = Duration::from_secs(60);

/// One repository of a registry with a catalog.
#[derive(Debug)]
pub(in super::super) struct Membership {
    catalog: Arc<Catalog>,
    name: RepositoryName,
    /// When the index was last known to list something.
    listing: Mutex<Option<Timestamp>>,
    /// Whether the last attempt to add the name has failed.
    has_failed: AtomicBool,
}

impl Membership {
    pub(in super::super) fn new(catalog: Arc<Catalog>, name: RepositoryName) -> Self {
        Self {
            catalog,
            name,
            listing: Mutex::default(),
            has_failed: AtomicBool::new(false),
        }
    }

    /// Is called before a layout is created.
    pub(in super::super) async fn prepare(&self) -> Result<()> {
        self.catalog.create_if_first().await
    }

    /// Is called with what the index lists, and a time before it was found or written.
    pub(in super::super) fn note_index(&self, lists_something: bool, at: Timestamp) {
        let mut listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        *listing = lists_something.then_some(at);
    }

    /// Is called after a blob was stored. Makes sure that the catalog has the name, unless the index is known to list
    /// something.
    pub(in super::super) async fn blob_stored(&self) -> Result<()> {
        let is_listing = {
            let listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
            listing.as_ref().is_some_and(|at| at.is_within(ASSUMED))
        };
        if is_listing && !self.has_failed() {
            return Ok(());
        }
        self.ensure().await
    }

    pub(in super::super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// Makes sure that the catalog has the name. Is called after an index that listed nothing lists something.
    pub(in super::super) async fn ensure(&self) -> Result<()> {
        // It is set first, as this may be dropped.
        self.has_failed.store(true, Ordering::Relaxed);
        let ensured = self.catalog.ensure(&self.name).await;
        self.has_failed.store(ensured.is_err(), Ordering::Relaxed);
        ensured
    }

    /// Removes the name if the repository is empty. Is called while no other process can change the index, which lists
    /// nothing since `since`, by the clock of the store.
    pub(in super::super) async fn remove_if_empty(
        &self,
        since: SystemTime,
        now: SystemTime,
    ) -> Result<()> {
        let age = now.duration_since(since).unwrap_or_default();
        if age < LEAST_EMPTY || !self.catalog.remove(&self.name).await? {
            return Ok(());
        }
        let prefix = layout_prefix(&self.catalog.prefix, &self.name);
        // An empty repository may be listed, and one with a blob must be.
        let may_have_blobs = has_blobs(&self.catalog.bucket, &prefix).await;
        if may_have_blobs.unwrap_or(true) {
            return self.ensure().await;
        }
        Ok(())
    }
}
