//! What garbage collection and checks need of the place where a layout is stored.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::Serialize;
use tranship::{Digest, Error, Result};

/// A listing in pages, as the storage has them: bounded, and fetched as it is polled.
pub(crate) type Pages<'a, T> = BoxStream<'a, Result<Vec<T>>>;

/// Is called with the number of bytes of each piece that is read.
pub(crate) type Observer = Arc<dyn Fn(u64) + Send + Sync>;

/// Looks at everything that is stored, and removes what nothing uses.
#[async_trait]
pub(crate) trait Maintenance: Send + Sync {
    /// Writes `oci-layout` anew.
    ///
    /// # Errors
    /// `Unsupported` if the storage cannot replace it alone.
    async fn write_version(&self) -> Result<()> {
        Err(Error::unsupported(
            "oci-layout cannot be replaced without the rest",
        ))
    }

    /// Lists everything below `blobs/`, in no particular order. Content that is stored or removed during the
    /// listing may be listed or not.
    fn stored(&self) -> Pages<'_, Stored>;

    /// Reads the blob `digest` to its end and hashes it; `None` if it does not exist.
    async fn hash_blob(&self, digest: &Digest, observe: Observer) -> Result<Option<Hashed>>;

    /// Returns the age below which a sweep keeps blobs, whatever age it is asked for.
    fn least_grace(&self) -> Duration {
        Duration::ZERO
    }

    /// Lists temporary files and uploads that have not changed within `min_age`, and that no running process
    /// is known to use.
    fn leftovers(&self, min_age: Duration) -> Pages<'_, Leftover>;

    /// Removes one of [`leftovers`](Self::leftovers), unless it is in use again. Returns whether it was removed.
    async fn remove_leftover(&self, leftover: &Leftover, min_age: Duration) -> Result<bool>;
}

/// Something below `blobs/`.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) name: StoredName,
    /// In bytes.
    pub(crate) size: u64,
    /// The time since its last change; zero if that is in the future. A file that was linked or renamed has
    /// changed.
    pub(crate) age: Duration,
    /// Whether other files share its bytes, so that removing it frees nothing.
    pub(crate) is_shared: bool,
}

/// The name of something below `blobs/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoredName {
    /// It has the path of the blob with this digest.
    Blob(Digest),
    /// It is not a blob: its path below `blobs/`.
    Stray(String),
}

/// The result of hashing a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hashed {
    /// In bytes.
    pub(crate) size: u64,
    /// Whether the content hashes to the digest.
    pub(crate) is_intact: bool,
}

/// What a file that was left behind was to become.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LeftoverKind {
    /// A temporary file of a push, or of a change of `index.json`.
    Temporary,
    /// An upload that could have been resumed.
    Upload,
}

/// A file of ours that a process did not finish.
#[derive(Debug, Clone)]
pub(crate) struct Leftover {
    pub(crate) kind: LeftoverKind,
    /// The name that the driver uses.
    pub(crate) name: String,
    /// In bytes.
    pub(crate) size: u64,
    /// Whether other files share its bytes, so that removing it frees nothing.
    pub(crate) is_shared: bool,
}
