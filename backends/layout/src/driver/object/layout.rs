//! One layout in a store, with everything that its operations share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use object_store::path::Path;
use tranship::{Digest, Result};

use super::bucket::Bucket;
use super::catalog::Membership;
use super::keys::ObjectKeys;
use super::recent_blobs::{RecentBlobs, Timestamp};
use crate::deletes::Deletes;
use crate::driver::marker;
use crate::index::EMPTY_INDEX;

/// One layout: the objects below one prefix of a store.
#[derive(Debug)]
pub(super) struct ObjectLayout {
    pub(super) bucket: Arc<Bucket>,
    pub(super) recent: RecentBlobs,
    pub(super) keys: ObjectKeys,
    /// For the repository of a registry.
    pub(super) membership: Option<Membership>,
    /// Whether the layout is known to exist.
    is_layout: AtomicBool,
    deletes: Deletes,
}

impl ObjectLayout {
    pub(super) fn new(bucket: Arc<Bucket>, prefix: Path, membership: Option<Membership>) -> Self {
        Self {
            bucket,
            recent: RecentBlobs::default(),
            keys: ObjectKeys::new(prefix),
            membership,
            is_layout: AtomicBool::new(false),
            deletes: Deletes::default(),
        }
    }

    /// Deletes a blob; returns `false` if it does not exist. Stores do not say whether there was something to delete, so
    /// this looks first, one task at a time. Two processes that delete the same blob at the same time may both return
    /// `true`.
    pub(super) async fn delete_blob(&self, digest: &Digest) -> Result<bool> {
        let _lock = self.deletes.lock(digest).await;
        let key = self.keys.blob(digest);
        if self.bucket.head(&key).await?.is_none() {
            return Ok(false);
        }
        self.recent.forget(digest);
        self.bucket.delete(&key).await?;
        Ok(true)
    }

    /// Writes `oci-layout`, over an existing one.
    pub(super) async fn write_marker(&self) -> Result<()> {
        let content = marker::CONTENT.into();
        self.bucket
            .put(&self.keys.marker(), content)
            .await
            .map(drop)
    }

    /// Returns whether writes of the index must have conditions.
    ///
    /// # Errors
    /// `Unsupported` if the store has no conditional PUT and needs it.
    pub(super) async fn requires_conditions(&self) -> Result<bool> {
        self.bucket.requires_conditions(&self.keys.probe()).await
    }

    /// Makes sure that the layout exists and can be written to. `oci-layout` is created first, then an index; a reader
    /// that finds only one of them finds an empty layout.
    ///
    /// # Errors
    /// As [`requires_conditions`](Self::requires_conditions).
    pub(super) async fn prepare(&self) -> Result<()> {
        if self.is_layout.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.requires_conditions().await?;
        let (marker, index) = (self.keys.marker(), self.keys.index());
        if self.bucket.head(&marker).await?.is_none() {
            if let Some(membership) = &self.membership {
                membership.prepare().await?;
            }
            self.bucket.create(&marker, marker::CONTENT.into()).await?;
            self.bucket.create(&index, EMPTY_INDEX.into()).await?;
        }
        self.is_layout.store(true, Ordering::Relaxed);
        Ok(())
    }
    /// Is called with what the index lists, and a time before it was found or written.
    pub(super) fn note_index(&self, lists_something: bool, at: Timestamp) {
        if let Some(membership) = &self.membership {
            membership.note_index(lists_something, at);
        }
    }

    /// Is called after a blob was stored, which may be the first content of the repository. `began` is a time before it
    /// was sent.
    pub(super) async fn blob_stored(&self, digest: &Digest, began: Timestamp) -> Result<()> {
        self.recent.add(digest, began);
        match &self.membership {
            Some(membership) => membership.blob_stored().await,
            None => Ok(()),
        }
    }

    /// Makes sure that the catalog has the name. Is called after an index that listed nothing lists something.
    pub(super) async fn confirm_name(&self) -> Result<()> {
        match &self.membership {
            Some(membership) => membership.ensure().await,
            None => Ok(()),
        }
    }
}
