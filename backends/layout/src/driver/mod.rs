//! The seam between a layout's logic and the place where its bytes lie.
//!
//! What a layout means (tags, referrers, what `index.json` lists) is written once, over these two
//! traits. A driver knows how to keep blobs, one index and uploads, and nothing of manifests.

#[cfg(feature = "archive")]
pub(crate) mod archive;
pub(crate) mod disk;
mod file;
pub(crate) mod linked;
pub(crate) mod local;
mod marker;
mod names;
#[cfg(feature = "object-store")]
pub(crate) mod object;
mod position;
mod repository_path;
mod stamp;

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tranship::blocking::HashingSink;
use tranship::{
    Body, Capabilities, Descriptor, Digest, Digester, Error, ErrorKind, ListOptions, Listing,
    MediaType, RepositoryName, Result, Source, Upload, UploadId,
};

pub(crate) use crate::gc::LeftoverKind;
use crate::sizes::Sizes;

/// A listing in pages, as the place has them: bounded, and fetched as it is polled.
pub(crate) type Pages<'a, T> = BoxStream<'a, Result<Vec<T>>>;

/// Hears of bytes as they are read.
pub(crate) type Observer = Arc<dyn Fn(u64) + Send + Sync>;

/// What is ours in a layout: everything that is not part of the format lies below this name.
const PRIVATE: &str = ".tranship";

pub(crate) const OCI_LAYOUT: &str = "oci-layout";
const INDEX: &str = "index.json";
const BLOBS: &str = "blobs";

/// Where one layout lies.
#[async_trait]
pub(crate) trait Driver: Any + fmt::Debug + Send + Sync {
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

    /// A driver of the same place for the pushes of a batch: what they store need not be durable, nor be
    /// there for others, before [`flush`](Self::flush).
    fn for_batch(&self) -> Arc<dyn Driver>;

    /// Whether what a batch stores is held back until its change of the index is made, which nobody
    /// else can make for it. Then pushes come one at a time.
    fn is_assembling(&self) -> bool {
        false
    }

    /// Publishes all that was stored through this driver, and makes it durable, as far as it promises that
    /// at all. Nothing is published before it is durable.
    async fn flush(&self) -> Result<()>;

    /// Whether something that is there may have to be made durable: whether the two calls that follow do
    /// anything.
    fn is_to_secure(&self) -> bool {
        false
    }

    /// Makes durable those of `blobs` that are there, whoever stored them.
    async fn secure_blobs(&self, _blobs: Arc<Sizes>) -> Result<()> {
        Ok(())
    }

    /// Makes durable the index in the state `version`, and everything that it leads to, whoever stored it.
    async fn secure_index(&self, _version: &IndexVersion) -> Result<()> {
        Ok(())
    }

    /// Writes `oci-layout` anew.
    ///
    /// # Errors
    /// `Unsupported` if the place cannot replace that alone.
    async fn write_version(&self) -> Result<()> {
        Err(Error::unsupported(
            "oci-layout cannot be replaced without the rest",
        ))
    }

    /// All that lies under `blobs/`, in no particular order. What comes or goes meanwhile may be
    /// missing or listed.
    fn stored(&self) -> Pages<'_, Stored>;

    /// Reads all bytes that lie under `digest` and hashes them; `None` if there is nothing.
    async fn hash_blob(&self, digest: &Digest, observe: Observer) -> Result<Option<Hashed>> {
        let Some(size) = self.blob_size(digest).await? else {
            return Ok(None);
        };
        let target = Descriptor::new(MediaType::OCTET_STREAM, *digest, size);
        let body = match self.open_blob(&target, 0..size).await {
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

    /// Removes blobs that nobody refers to: nobody can change `index.json` between what `plan` sees
    /// and the end of the removal, so that whoever goes on one of these blobs being there, by
    /// [`IndexChange::required`], either comes first and shows in the index, or fails.
    ///
    /// `plan` gets what is there, unless it is still at the version `known`, and is called again if
    /// somebody without regard for that right replaces the index meanwhile. A blob that has changed
    /// within `min_age` when its turn comes is kept: somebody pushed it again. The right to change
    /// the index is held no longer than the call lasts, so it should not remove too much at once.
    ///
    /// Where `plan` wants no new content of the index, nothing is written: this works on a full
    /// disk.
    async fn sweep(
        &self,
        known: Option<IndexVersion>,
        limit: u64,
        min_age: Duration,
        plan: SweepPlan,
    ) -> Result<Swept>;

    /// What has changed within this time is kept by a sweep, whatever age it is asked for.
    fn least_grace(&self) -> Duration {
        Duration::ZERO
    }

    /// What was left behind: temporary files and uploads that nobody has touched within `min_age`,
    /// and that no live process is known to hold.
    fn leftovers(&self, min_age: Duration) -> Pages<'_, Leftover>;

    /// Removes what [`leftovers`](Self::leftovers) listed, unless it is in use again; answers
    /// whether it did.
    async fn remove_leftover(&self, leftover: &Leftover, min_age: Duration) -> Result<bool>;

    /// Makes visible what was stored through the driver of a batch and is held back, where no change
    /// of the index does.
    async fn finish(&self) -> Result<()> {
        Ok(())
    }

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
    /// What [`required`](Self::required) goes through, shared with those who rely on it.
    pub(crate) required: Vec<Arc<Vec<Arc<Sizes>>>>,
}

impl IndexChange {
    /// Blobs, and their sizes in bytes, that must be there when the new content gets into place:
    /// somebody relies on them, and they may have been removed meanwhile.
    pub(crate) fn required(&self) -> impl Iterator<Item = (Digest, u64)> + Send {
        let required = self.required.iter().flat_map(|blobs| blobs.iter());
        required.flat_map(|blobs| blobs.iter())
    }
}

/// Something that lies under `blobs/`.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) name: StoredName,
    /// In bytes.
    pub(crate) size: u64,
    /// How long ago it last changed; zero if that is said to be in the future. A file that was
    /// linked or renamed has changed.
    pub(crate) age: Duration,
    /// Whether the bytes belong to others too, so that removing it frees nothing.
    pub(crate) is_shared: bool,
}

/// What a stored thing is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoredName {
    /// It lies where the blob of this digest does.
    Blob(Digest),
    /// It is no blob: its path below `blobs/`.
    Stray(String),
}

/// What hashing a blob found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hashed {
    /// How many bytes there are.
    pub(crate) size: u64,
    /// Whether they hash to the digest.
    pub(crate) is_intact: bool,
}

/// A file of ours that nobody finished.
#[derive(Debug, Clone)]
pub(crate) struct Leftover {
    pub(crate) kind: LeftoverKind,
    /// As the driver calls it.
    pub(crate) name: String,
    /// In bytes.
    pub(crate) size: u64,
    /// Whether the bytes belong to others too, so that removing it frees nothing.
    pub(crate) is_shared: bool,
}

/// Decides what to remove from what `index.json` says. It must not block on anything.
pub(crate) type SweepPlan = Box<dyn FnMut(&IndexRead) -> Result<Sweep> + Send>;

/// What a plan wants.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    /// The new content of the index, put in place before anything is removed; `None` leaves it as
    /// it is.
    pub(crate) content: Option<Bytes>,
    /// The blobs to remove.
    pub(crate) remove: Vec<Digest>,
}

/// What a sweep did.
#[derive(Debug)]
pub(crate) struct Swept {
    /// The version of the index at the end; `None` if there is none.
    pub(crate) version: Option<IndexVersion>,
    /// The blobs that were removed, as they were last.
    pub(crate) removed: Vec<Stored>,
}
