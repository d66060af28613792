//! Uploads that can be interrupted and resumed, in another process too.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::descriptor::Descriptor;
use crate::error::Result;

/// What an upload is resumed by: opaque text that may be stored and handed to another process. It
/// may hold a secret of the registry, so treat it as one.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(Arc<str>);

impl UploadId {
    /// The id that a backend gave out before.
    #[must_use]
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UploadId(..)")
    }
}

/// Starts and resumes uploads of blobs.
///
/// ```
/// use bytes::Bytes;
/// use tranship::{Descriptor, MediaType, Result, Uploader};
///
/// async fn upload_in_two_parts(uploader: &dyn Uploader) -> Result<()> {
///     let mut upload = uploader.start().await?;
///     upload.write(0, Bytes::from_static(b"hel")).await?;
///     let id = upload.id().clone();
///     drop(upload); // the session stays: resume it, here or in another process
///
///     let mut upload = uploader.resume(&id).await?;
///     upload.write(upload.offset(), Bytes::from_static(b"lo")).await?;
///     upload
///         .commit(&Descriptor::of(MediaType::OCTET_STREAM, b"hello"))
///         .await
/// }
/// ```
#[async_trait]
pub trait Uploader: Send + Sync {
    /// Starts an upload of a blob whose size and digest need not be known yet.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if the backend is read-only, and what it fails
    /// with otherwise.
    async fn start(&self) -> Result<Box<dyn Upload>>;

    /// Goes on with an upload where it stopped; [`Upload::offset`] says where that is.
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) if this repository has no such upload: the id is no
    ///   id or another repository's, or the upload was committed, cancelled or has expired.
    /// - [`Conflict`](crate::ErrorKind::Conflict) if somebody else is writing to it.
    async fn resume(&self, id: &UploadId) -> Result<Box<dyn Upload>>;
}

/// An upload under way. One writer at a time.
///
/// Dropping it leaves the session open, to be resumed by its id. An upload that will not be resumed
/// should be [cancelled](Self::cancel).
#[async_trait]
pub trait Upload: Send {
    /// What the upload can be resumed by.
    fn id(&self) -> &UploadId;

    /// How many bytes have arrived.
    fn offset(&self) -> u64;

    /// Announces that `bytes` more will be written, so that a backend that has no room for them can say so before they
    /// arrive. Writing fewer or more of them is allowed. By default this does nothing.
    ///
    /// # Errors
    /// [`StorageFull`](crate::ErrorKind::StorageFull) or [`Denied`](crate::ErrorKind::Denied) if they do not fit.
    fn reserve(&mut self, _bytes: u64) -> Result<()> {
        Ok(())
    }

    /// Appends `chunk`, whose first byte must be the one at `offset`.
    ///
    /// When the future is dropped, or fails, ask [`offset`](Self::offset) of a resumed upload how
    /// far it came.
    ///
    /// # Errors
    /// - [`RangeInvalid`](crate::ErrorKind::RangeInvalid) if `offset` is not [`offset`](Self::offset);
    ///   nothing is written, and the upload can go on.
    /// - [`StorageFull`](crate::ErrorKind::StorageFull) and what else the backend fails with.
    async fn write(&mut self, offset: u64, chunk: Bytes) -> Result<()>;

    /// Releases what the upload holds of the system, such as an open file and its lock, until the next call. What
    /// is known of the bytes so far is kept, so that they need not be read again. Useful with
    /// many open uploads of which few are written to.
    ///
    /// While it is paused another process may resume the upload, or an expiry may end it: the next call then fails
    /// as that of any other upload that was changed or ended elsewhere.
    ///
    /// If the future is dropped, the upload may have to be resumed by its id.
    ///
    /// # Errors
    /// What the backend fails with.
    async fn pause(&mut self) -> Result<()> {
        Ok(())
    }

    /// Makes what has arrived visible as the blob `expected`, and ends the upload.
    ///
    /// # Errors
    /// [`SizeMismatch`](crate::ErrorKind::SizeMismatch) or
    /// [`DigestMismatch`](crate::ErrorKind::DigestMismatch) if something else has arrived. Nothing
    /// becomes visible, and the upload is over.
    async fn commit(self: Box<Self>, expected: &Descriptor) -> Result<()>;

    /// Ends the upload and drops what has arrived.
    ///
    /// # Errors
    /// What the backend fails with.
    async fn cancel(self: Box<Self>) -> Result<()>;
}
