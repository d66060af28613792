//! The seam between a layout's logic and the place where its bytes lie.
//!
//! What a layout means (tags, referrers, what `index.json` lists) is written once, over these two
//! traits. A driver knows how to keep blobs, one index and uploads, and nothing of manifests.

#[cfg(feature = "archive")]
pub(crate) mod archive;
pub(crate) mod disk;
mod file;
mod index;
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

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tranship::blocking::HashingSink;
use tranship::{
    Body, Capabilities, Descriptor, Digest, Digester, Error, ErrorKind, ListOptions, Listing,
    MediaType, RepositoryName, Result, Source, Upload, UploadId,
};

use crate::sizes::Sizes;

pub(crate) use self::index::{
    Index, IndexChange, IndexEdit, IndexFile, IndexRead, IndexState, IndexVersion, Sweep,
    SweepPlan, Swept,
};
pub use self::maintenance::LeftoverKind;
pub(crate) use self::maintenance::{
    Hashed, Leftover, Maintenance, Observer, Pages, Stored, StoredName,
};
pub(crate) use self::transaction::{Immediate, Transaction};

/// What is ours in a layout: everything that is not part of the format lies below this name.
const PRIVATE: &str = ".tranship";

pub(crate) const OCI_LAYOUT: &str = "oci-layout";
const INDEX: &str = "index.json";
const BLOBS: &str = "blobs";

/// Where one layout lies.
#[async_trait]
pub(crate) trait Driver: Index + Maintenance + Any + fmt::Debug {
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

    /// As [`put_blob`](Self::put_blob). Where the driver can, content that has arrived is kept when this
    /// fails or is dropped, and a later call for the same blob continues from there.
    async fn put_blob_resumable(&self, expected: &Descriptor, source: Source<'_>) -> Result<()> {
        self.put_blob(expected, source).await
    }

    /// Removes a blob; `false` if it was not there.
    async fn delete_blob(&self, digest: &Digest) -> Result<bool>;

    /// Begins a transaction for the pushes of a batch.
    fn begin(&self) -> Box<dyn Transaction>;

    /// Whether something that is there may have to be made durable: whether the two calls that follow do
    /// anything.
    fn is_to_secure(&self) -> bool {
        false
    }

    /// Makes durable those of `blobs` that are there, whoever stored them.
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

/// That a blob which was there is there no more, while something that refers to it is listed.
pub(crate) fn vanished(digest: &Digest) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "was removed by somebody else while something that refers to it was pushed",
    )
    .with_subject(digest)
    .with_retryable(true)
    .with_hint("push it again; nothing was tagged")
}

/// The driver as the type that its own registry makes.
fn own<D: Driver>(driver: &dyn Driver) -> Option<&D> {
    let driver: &dyn Any = driver;
    driver.downcast_ref()
}

/// Where many layouts lie, by the names of their repositories.
#[async_trait]
pub(crate) trait RegistryDriver: fmt::Debug + Send + Sync {
    /// What this kind of place can do.
    fn capabilities(&self) -> Capabilities;

    /// The place of one layout, whether it exists or not.
    ///
    /// # Errors
    /// `InvalidReference` if the place cannot hold a layout of this name.
    async fn layout(&self, name: &RepositoryName) -> Result<Arc<dyn Driver>>;

    /// The layouts that exist, by name in ASCII order.
    fn names(&self, options: ListOptions) -> Listing<'_, RepositoryName>;

    /// The repositories that may have uploads under way. Where they can be found without asking for every
    /// repository's uploads, those without a layout yet are among them.
    fn with_uploads(&self) -> Listing<'_, RepositoryName> {
        self.names(ListOptions::default())
    }

    /// Makes the blob `target` of the layout `from` appear in the layout `to`, without moving its
    /// bytes through this process where that can be avoided. `false` if `from` does not have it.
    ///
    /// Both are drivers of this registry, or made of one for a batch.
    async fn mount(&self, target: &Descriptor, from: &dyn Driver, to: &dyn Driver) -> Result<bool>;
}
