//! Where the files of a layout are stored: on a local disk, in an object store, or in an archive.
//!
//! The meaning of a layout (tags, referrers, the entries of `index.json`) is implemented once, over these traits:
//!
//! - [`Driver`]: the blobs and uploads of one layout;
//! - [`IndexFile`]: its `index.json`, with versions of a type of the storage's own;
//! - [`Maintenance`]: what garbage collection and checks need;
//! - [`Transaction`]: pushes that become durable and visible together;
//! - [`RegistryDriver`]: many layouts, by the names of their repositories.
//!
//! A driver does not know what a manifest is.

#[cfg(feature = "archive")]
pub(crate) mod archive;
pub(crate) mod disk;
mod file;
mod index;
mod index_content;
pub(crate) mod linked;
pub(crate) mod local;
mod maintenance;
mod marker;
mod names;
#[cfg(feature = "object-store")]
pub(crate) mod object;
mod position;
mod repository_path;
mod stamp;
mod transaction;

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tranship::HashingSink;
use tranship::{
    Body, Capabilities, Descriptor, Digest, Digester, DirectUrl, Error, ErrorKind, ListOptions,
    Listing, MediaType, RepositoryName, Result, Source, Upload, UploadId,
};

use crate::sizes::Sizes;

pub(crate) use self::index::{
    Index, IndexChange, IndexEdit, IndexFile, IndexRead, IndexState, IndexVersion, Sweep,
    SweepPlan, Swept,
};
pub(crate) use self::index_content::IndexContent;
pub use self::maintenance::LeftoverKind;
pub(crate) use self::maintenance::{
    Hashed, Leftover, Maintenance, Observer, Pages, Stored, StoredName,
};
pub(crate) use self::transaction::{Immediate, Transaction};

/// The directory of our own files in a layout, which are not part of the format.
const PRIVATE: &str = ".tranship";

pub(crate) const OCI_LAYOUT: &str = "oci-layout";
const INDEX: &str = "index.json";
const BLOBS: &str = "blobs";

/// The storage of one layout.
#[async_trait]
pub(crate) trait Driver: Index + Maintenance + Any + fmt::Debug {
    /// Returns the path or URL, for errors.
    fn location(&self) -> String;

    /// Returns what this kind of storage can do.
    fn capabilities(&self) -> Capabilities;

    /// Returns the `imageLayoutVersion` of `oci-layout`; `None` if the file does not exist.
    async fn version(&self) -> Result<Option<String>>;

    /// Returns the size of the blob `digest` in bytes; `None` if it does not exist.
    async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>>;

    /// Returns the bytes `range` of the blob `target`, unchecked.
    ///
    /// # Errors
    /// `NotFound`, and `SizeMismatch` if the stored blob has another size than `target`.
    async fn open_blob(&self, target: &Descriptor, range: Range<u64>) -> Result<Body>;

    /// Returns a URL by which clients can read the blob `digest`; `None`, the default, if there is none. This does not
    /// look for the blob.
    async fn direct_url(
        &self,
        _digest: &Digest,
        _valid_for: Duration,
    ) -> Result<Option<DirectUrl>> {
        Ok(None)
    }

    /// Returns all bytes of the blob `digest`, unchecked; `None` if it does not exist.
    ///
    /// # Errors
    /// `SizeExceedsLimit` before anything is read if there are more than `limit` bytes.
    async fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Option<Bytes>>;

    /// Stores the content of `source` as the blob `expected`, and replaces a file that has its name. It becomes
    /// visible only when it is complete and verified.
    async fn put_blob(&self, expected: &Descriptor, source: Source<'_>) -> Result<()>;

    /// Does the same as [`put_blob`](Self::put_blob). If the storage can, content that has arrived is kept when this
    /// fails or is dropped, and a later call for the same blob resumes there.
    async fn put_blob_resumable(&self, expected: &Descriptor, source: Source<'_>) -> Result<()> {
        self.put_blob(expected, source).await
    }

    /// Removes a blob. Returns whether it existed.
    async fn delete_blob(&self, digest: &Digest) -> Result<bool>;

    /// Begins a transaction for the pushes of a batch.
    fn begin(&self) -> Box<dyn Transaction>;

    /// Returns whether stored content may have to be made durable, by [`secure_blobs`](Self::secure_blobs) and
    /// [`Index::secure_index`].
    fn is_to_secure(&self) -> bool {
        false
    }

    /// Makes durable those of `blobs` that exist, also if another process stored them.
    async fn secure_blobs(&self, _blobs: Arc<Sizes>) -> Result<()> {
        Ok(())
    }

    /// Starts an upload.
    async fn start_upload(&self) -> Result<Box<dyn Upload>>;

    /// Resumes an upload of this or another process.
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

/// Reads a blob through the driver, and hashes it.
async fn hash_blob(
    driver: &dyn Driver,
    digest: &Digest,
    observe: Observer,
) -> Result<Option<Hashed>> {
    let Some(size) = driver.blob_size(digest).await? else {
        return Ok(None);
    };
    let target = Descriptor::new(MediaType::OCTET_STREAM, *digest, size);
    let body = match driver.open_blob(&target, 0..size).await {
        Err(error) if error.is_not_found() => return Ok(None),
        body => body?,
    };
    let mut pieces = body.into_stream();
    let mut hashing = HashingSink::new(Digester::new(digest.algorithm()));
    while let Some(piece) = pieces.next().await.transpose()? {
        observe(piece.len() as u64);
        hashing.update(piece).await?;
    }
    let size = hashing.bytes();
    let is_intact = hashing.finish().await?.finish() == *digest;
    Ok(Some(Hashed { size, is_intact }))
}

/// Returns the error that a blob was removed while content that refers to it was pushed.
pub(crate) fn vanished(digest: &Digest) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "was removed by another process while content that refers to it was pushed",
    )
    .with_subject(digest)
    .with_retryable(true)
    .with_hint("push it again; nothing was tagged")
}

/// Returns the driver as the type that its own registry makes.
fn own<D: Driver>(driver: &dyn Driver) -> Option<&D> {
    let driver: &dyn Any = driver;
    driver.downcast_ref()
}

/// The storage of many layouts, by the names of their repositories.
#[async_trait]
pub(crate) trait RegistryDriver: fmt::Debug + Send + Sync {
    /// Returns what this kind of storage can do.
    fn capabilities(&self) -> Capabilities;

    /// Returns the storage of one layout, which need not exist.
    ///
    /// # Errors
    /// `InvalidReference` if a layout cannot be stored under this name.
    async fn layout(&self, name: &RepositoryName) -> Result<Arc<dyn Driver>>;

    /// Lists the layouts that exist, by name in ASCII order.
    fn names(&self, options: ListOptions) -> Listing<'_, RepositoryName>;

    /// Lists the repositories that may have open uploads. If they can be found without a request for each
    /// repository, those without a layout are among them.
    fn with_uploads(&self) -> Listing<'_, RepositoryName> {
        self.names(ListOptions::default())
    }

    /// Stores the blob `target` of the layout `from` in the layout `to`, without moving its bytes through this process
    /// if that can be avoided. Returns `false` if `from` does not have it.
    ///
    /// Both are drivers of this registry, or of a transaction of one.
    async fn mount(&self, target: &Descriptor, from: &dyn Driver, to: &dyn Driver) -> Result<bool>;

    /// Brings up to date what the registry knows of its repositories beside the layouts themselves, if anything.
    async fn rebuild_catalog(&self) -> Result<()> {
        Ok(())
    }

    /// Returns a contender for the maintenance of the registry.
    fn contender(&self) -> Box<dyn Contender>;
}

/// A process that wants to be the only one that does the maintenance of a registry.
#[async_trait]
pub(crate) trait Contender: fmt::Debug + Send + Sync {
    /// Returns the right to do the maintenance; `None` if another process has it.
    async fn acquire(&self) -> Result<Option<Box<dyn Tenure>>>;
}

/// The right to do the maintenance of a registry. When it is dropped, it ends, at once or after a time.
#[async_trait]
pub(crate) trait Tenure: fmt::Debug + Send {
    /// Keeps the right. Returns the reason when it is lost.
    async fn keep(&mut self) -> Error {
        std::future::pending().await
    }

    /// Ends it.
    async fn release(self: Box<Self>) {}
}
