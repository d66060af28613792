//! The seam between a layout's logic and the place where its bytes lie.
//!
//! What a layout means (tags, referrers, what `index.json` lists) is written once, over these two
//! traits. A driver knows how to keep blobs, one index and uploads, and nothing of manifests.

pub(crate) mod local;

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tranship::{
    Body, Capabilities, Descriptor, Digest, Error, ErrorKind, ListOptions, Listing, RepositoryName,
    Result, Source, Upload, UploadId,
};

/// Where one layout lies.
#[async_trait]
pub(crate) trait Driver: fmt::Debug + Send + Sync {
    /// The path or URL, for errors.
    fn location(&self) -> String;

    /// What this kind of place can do.
    fn capabilities(&self) -> Capabilities;

    /// The `imageLayoutVersion` of `oci-layout`; `None` if there is no such file.
    async fn version(&self) -> Result<Option<String>>;

    /// The size of what lies under `digest`, in bytes.
    async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>>;

    /// The bytes `range` of the blob `target`, unchecked. With the whole range the answer may name
    /// a local file.
    ///
    /// # Errors
    /// `NotFound`, and `SizeMismatch` if what is stored has another size than `target`.
    async fn open_blob(&self, target: &Descriptor, range: Range<u64>) -> Result<Body>;

    /// All bytes that lie under `digest`, unchecked.
    ///
    /// # Errors
    /// `SizeExceedsLimit` before anything is read if there are more than `limit` bytes.
    async fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Option<Bytes>>;

    /// Stores the content of `source` as `expected`, over whatever lies there. It becomes visible
    /// when it is complete and verified, and not before.
    async fn put_blob(&self, expected: &Descriptor, source: Source<'_>) -> Result<()>;

    /// Removes a blob; `false` if it was not there.
    async fn delete_blob(&self, digest: &Digest) -> Result<bool>;

    /// Reads `index.json`, unless it is still at the version `known`.
    ///
    /// # Errors
    /// `SizeExceedsLimit` before anything is read if it has more than `limit` bytes.
    async fn read_index(&self, known: Option<IndexVersion>, limit: u64) -> Result<IndexRead>;

    /// Changes `index.json` such that no change of anybody else is lost: `edit` gets what is there,
    /// and is called again if that was replaced meanwhile. Answers the version that is there at the
    /// end; `None` if there is no index and `edit` did not want one.
    async fn update_index(
        &self,
        known: Option<IndexVersion>,
        limit: u64,
        edit: IndexEdit,
    ) -> Result<Option<IndexVersion>>;

    /// Starts an upload.
    async fn start_upload(&self) -> Result<Box<dyn Upload>>;

    /// Goes on with an upload of this or another process.
    async fn resume_upload(&self, id: &UploadId) -> Result<Box<dyn Upload>>;
}

/// Checks the size of what is stored, in bytes, against what `target` says.
///
/// # Errors
/// `SizeMismatch`.
pub(crate) fn check_size(stored: u64, target: &Descriptor) -> Result<()> {
    if stored == target.size() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::SizeMismatch,
        format!("{stored} bytes are stored, {} were expected", target.size()),
    )
    .with_subject(target.digest())
    .with_hint("the file may have been cut short when it was written; push it again"))
}

/// Where many layouts lie, by the names of their repositories.
#[async_trait]
pub(crate) trait RegistryDriver: fmt::Debug + Send + Sync {
    /// The place of one layout, whether it exists or not.
    ///
    /// # Errors
    /// `InvalidReference` if the place cannot hold a layout of this name.
    async fn layout(&self, name: &RepositoryName) -> Result<Arc<dyn Driver>>;

    /// The layouts that exist, by name in ASCII order.
    fn names(&self, options: ListOptions) -> Listing<'_, RepositoryName>;

    /// Makes the blob `target` of the layout `from` appear in the layout `to`, without moving its
    /// bytes through this process where that can be avoided. `false` if `from` does not have it.
    async fn mount(
        &self,
        target: &Descriptor,
        from: &RepositoryName,
        to: &RepositoryName,
    ) -> Result<bool>;
}

/// Which state of `index.json` was read. Only the driver that made it can look inside.
#[derive(Clone)]
pub(crate) struct IndexVersion(Arc<dyn Any + Send + Sync>);

impl IndexVersion {
    pub(crate) fn new<T: Any + Send + Sync>(version: T) -> Self {
        Self(Arc::new(version))
    }

    pub(crate) fn get<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for IndexVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IndexVersion")
    }
}

/// What a look at `index.json` found.
#[derive(Debug)]
pub(crate) enum IndexRead {
    /// There is none.
    Absent,
    /// It has not changed since the version that the caller knows; this is the one to know now.
    Unchanged(IndexVersion),
    /// Its content, and the version that this is.
    Read(Bytes, IndexVersion),
}

/// Computes a change of `index.json` from what is there. It must not block on anything.
pub(crate) type IndexEdit = Box<dyn FnMut(&IndexRead) -> Result<IndexChange> + Send>;

/// What an edit wants.
#[derive(Debug, Default)]
pub(crate) struct IndexChange {
    /// The new content; `None` leaves the index as it is.
    pub(crate) content: Option<Bytes>,
    /// Blobs to remove when the new content is in place, as a part of the same change.
    pub(crate) remove: Vec<Digest>,
}
