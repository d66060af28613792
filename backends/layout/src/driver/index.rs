//! `index.json` of one layout: how it is read and changed so that no change is lost.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tranship::{Digest, Error, ErrorKind, Result};

use super::{IndexContent, Stored};
use crate::sizes::Sizes;

/// The index file of one layout. Each kind of storage has a version type of its own; [`Index`] is the same without
/// that type.
#[async_trait]
pub(crate) trait IndexFile: Send + Sync {
    /// Which state of the file was read.
    type Version: Clone + Send + Sync + 'static;

    /// Reads the file, unless it is still at the version `known`.
    ///
    /// # Errors
    /// `SizeExceedsLimit` before anything is read if it has more than `limit` bytes.
    async fn read(
        &self,
        known: Option<Self::Version>,
        limit: u64,
    ) -> Result<IndexRead<Self::Version>>;

    /// Changes the file so that no change of another writer is lost: `edit` gets the current state, and
    /// is called again if another writer has replaced the file in the meantime. Returns the version at the
    /// end; `None` if there is no index and `edit` did not want one.
    async fn update(
        &self,
        known: Option<Self::Version>,
        limit: u64,
        edit: IndexEdit,
    ) -> Result<Option<Self::Version>>;

    /// Makes durable the file in the state `version`, and everything that it leads to, whoever stored it.
    async fn secure(&self, _version: &Self::Version) -> Result<()> {
        Ok(())
    }

    /// Removes blobs that nothing refers to. No writer can change the file between what `plan` sees and the end
    /// of the removal. So a writer that assumes that one of these blobs exists, by [`IndexChange::required`],
    /// either comes first and shows in the file, or fails.
    ///
    /// `plan` gets the current state, and is called again if a writer without regard for that right replaces
    /// the file in the meantime. A blob that has changed within `min_age` when its turn comes is kept, as it was
    /// pushed again. The right to change the file is held no longer than the call lasts, so it should not remove
    /// too much at once.
    ///
    /// Where `plan` wants no new content of the file, nothing is written: this works on a full disk.
    async fn sweep(
        &self,
        known: Option<Self::Version>,
        limit: u64,
        min_age: Duration,
        plan: SweepPlan,
    ) -> Result<Swept<Self::Version>>;
}

/// An [`IndexFile`] with any type of version.
#[async_trait]
pub(crate) trait Index: Send + Sync {
    /// See [`IndexFile::read`].
    async fn read_index(&self, known: Option<IndexVersion>, limit: u64) -> Result<IndexRead>;

    /// See [`IndexFile::update`].
    async fn update_index(
        &self,
        known: Option<IndexVersion>,
        limit: u64,
        edit: IndexEdit,
    ) -> Result<Option<IndexVersion>>;

    /// See [`IndexFile::secure`].
    async fn secure_index(&self, version: &IndexVersion) -> Result<()>;

    /// See [`IndexFile::sweep`].
    async fn sweep(
        &self,
        known: Option<IndexVersion>,
        limit: u64,
        min_age: Duration,
        plan: SweepPlan,
    ) -> Result<Swept>;
}

#[async_trait]
impl<I: IndexFile> Index for I {
    async fn read_index(&self, known: Option<IndexVersion>, limit: u64) -> Result<IndexRead> {
        let typed = known.as_ref().and_then(IndexVersion::get);
        Ok(match self.read(typed, limit).await? {
            IndexRead::Absent => IndexRead::Absent,
            IndexRead::Unchanged(version) => IndexRead::Unchanged(IndexVersion::new(version)),
            IndexRead::Read(content, version) => {
                IndexRead::Read(content, IndexVersion::new(version))
            }
        })
    }

    async fn update_index(
        &self,
        known: Option<IndexVersion>,
        limit: u64,
        edit: IndexEdit,
    ) -> Result<Option<IndexVersion>> {
        let typed = known.as_ref().and_then(IndexVersion::get);
        let version = self.update(typed, limit, edit).await?;
        Ok(version.map(IndexVersion::new))
    }

    async fn secure_index(&self, version: &IndexVersion) -> Result<()> {
        match version.get() {
            Some(version) => self.secure(&version).await,
            None => Err(Error::new(
                ErrorKind::Io,
                "the version of the index is that of another storage",
            )),
        }
    }

    async fn sweep(
        &self,
        known: Option<IndexVersion>,
        limit: u64,
        min_age: Duration,
        plan: SweepPlan,
    ) -> Result<Swept> {
        let typed = known.as_ref().and_then(IndexVersion::get);
        let swept = IndexFile::sweep(self, typed, limit, min_age, plan).await?;
        Ok(Swept {
            version: swept.version.map(IndexVersion::new),
            removed: swept.removed,
        })
    }
}

/// A version of an index file, of the type that its storage uses.
#[derive(Clone)]
pub(crate) struct IndexVersion(Arc<dyn Any + Send + Sync>);

impl IndexVersion {
    fn new<V: Any + Send + Sync>(version: V) -> Self {
        Self(Arc::new(version))
    }

    fn get<V: Any + Clone>(&self) -> Option<V> {
        self.0.downcast_ref().cloned()
    }
}

impl fmt::Debug for IndexVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IndexVersion")
    }
}

/// What reading an index file found.
#[derive(Debug)]
pub(crate) enum IndexRead<V = IndexVersion> {
    /// There is none.
    Absent,
    /// It has not changed since the known version. This is the version to know now.
    Unchanged(V),
    /// Its content, and the version that this is.
    Read(Bytes, V),
}

impl<V> IndexRead<V> {
    /// Returns what was found, without the version.
    pub(crate) fn state(&self) -> IndexState<'_> {
        match self {
            Self::Absent => IndexState::Absent,
            Self::Unchanged(_) => IndexState::Unchanged,
            Self::Read(content, _) => IndexState::Changed(content),
        }
    }

    /// Returns the version, if there is an index.
    #[cfg(feature = "object-store")]
    pub(crate) fn version(&self) -> Option<&V> {
        match self {
            Self::Absent => None,
            Self::Unchanged(version) | Self::Read(_, version) => Some(version),
        }
    }

    /// Returns the version, if there is an index.
    pub(crate) fn into_version(self) -> Option<V> {
        match self {
            Self::Absent => None,
            Self::Unchanged(version) | Self::Read(_, version) => Some(version),
        }
    }
}

/// The state of an index file that is to be changed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum IndexState<'a> {
    /// There is none.
    Absent,
    /// It is at the known version.
    Unchanged,
    /// It has this content.
    Changed(&'a Bytes),
}

/// Computes a change of an index file from its state. It must not block.
pub(crate) type IndexEdit = Box<dyn FnMut(IndexState<'_>) -> Result<IndexChange> + Send>;

/// A change of an index file.
#[derive(Debug, Default)]
pub(crate) struct IndexChange {
    /// The new content; `None` leaves the index as it is.
    pub(crate) content: Option<IndexContent>,
    /// Blobs to remove after the new content is in place, as a part of the same change.
    pub(crate) remove: Vec<Digest>,
    /// The blobs that [`required`](Self::required) returns, shared with the writers that rely on them.
    pub(crate) required: Vec<Arc<Vec<Arc<Sizes>>>>,
}

impl IndexChange {
    /// Returns the blobs, with their sizes in bytes, that must exist when the new content gets into place.
    /// A writer relies on them, and they may have been removed in the meantime.
    pub(crate) fn required(&self) -> impl Iterator<Item = (Digest, u64)> + Send {
        let required = self.required.iter().flat_map(|blobs| blobs.iter());
        required.flat_map(|blobs| blobs.iter())
    }
}

/// Decides what to remove from the state of an index file. It must not block.
pub(crate) type SweepPlan = Box<dyn FnMut(IndexState<'_>) -> Result<Sweep> + Send>;

/// What a plan wants to be removed.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    /// The new content of the index, put in place before anything is removed; `None` leaves it as it is.
    pub(crate) content: Option<IndexContent>,
    /// The blobs to remove.
    pub(crate) remove: Vec<Digest>,
}

/// What a sweep did.
#[derive(Debug)]
pub(crate) struct Swept<V = IndexVersion> {
    /// The version of the index at the end; `None` if there is none.
    pub(crate) version: Option<V>,
    /// The blobs that were removed, in their last state.
    pub(crate) removed: Vec<Stored>,
}
