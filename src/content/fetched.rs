//! Content that a store returns: its descriptor, and its bytes with the checks that they need.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

use super::body::Body;
use super::verify::{VerifiedStream, Verifier};
use super::{part, save, verify};
use crate::descriptor::Descriptor;
use crate::error::{Error, ErrorKind, Result};

/// How much a manifest may be in bytes, unless an option says otherwise: 4 MiB (distribution-spec,
/// "Pushing Manifests").
pub const MAX_MANIFEST_SIZE: u64 = 4 * 1024 * 1024;

/// What a fetch returns: the descriptor of the content, and its bytes.
///
/// Reading it, as a [`stream`](Self::into_stream) or [`whole`](Self::bytes), checks the size and the
/// digest, so that no backend can forget to. A copy takes the [`body`](Self::into_body) out and lets
/// the destination check, so that nothing is hashed twice.
///
/// ```
/// use bytes::Bytes;
/// use tranship::{Content, Descriptor, ErrorKind, MediaType};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let descriptor = Descriptor::of(MediaType::OCTET_STREAM, b"hello");
/// let content = Content::from_bytes(descriptor.clone(), Bytes::from_static(b"hello"));
/// assert_eq!(content.bytes(1024).await?, "hello");
///
/// let altered = Content::from_bytes(descriptor, Bytes::from_static(b"jello"));
/// assert_eq!(altered.bytes(1024).await.unwrap_err().kind(), ErrorKind::DigestMismatch);
/// # Ok(())
/// # }
/// ```
#[must_use = "content is not read, nor checked, until it is asked for"]
pub struct Content {
    descriptor: Descriptor,
    body: Body,
    // Set where the body is a part of the content, which no digest can vouch for.
    part: Option<Range<u64>>,
}

impl Content {
    /// The whole content of `descriptor`.
    pub fn new(descriptor: Descriptor, body: Body) -> Self {
        Self {
            descriptor,
            body,
            part: None,
        }
    }

    /// The bytes `range` of the content of `descriptor`. A part is checked for its length only.
    pub fn partial(descriptor: Descriptor, range: Range<u64>, body: Body) -> Self {
        Self {
            descriptor,
            body,
            part: Some(range),
        }
    }

    /// Cuts whole content to the bytes `range`. The bytes before the range are read and dropped, in constant
    /// memory.
    ///
    /// `range` must lie within the content, as a range from [`ByteRange::resolve`](super::ByteRange::resolve) does.
    pub fn into_part(self, range: Range<u64>) -> Self {
        let part = part::part_of(self.body, range.clone());
        Self::partial(self.descriptor, range, part)
    }

    /// Returns the same content with another body, which must have the same bytes.
    pub(crate) fn map_body(self, map: impl FnOnce(Body) -> Body) -> Self {
        Self {
            body: map(self.body),
            ..self
        }
    }

    /// The whole content, from memory.
    pub fn from_bytes(descriptor: Descriptor, bytes: Bytes) -> Self {
        Self::new(descriptor, Body::from_bytes(bytes))
    }

    /// The descriptor of the whole content.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The range in bytes that the body covers, where it is a part of the content.
    #[must_use]
    pub fn range(&self) -> Option<&Range<u64>> {
        self.part.as_ref()
    }

    /// The number of bytes that the body holds.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.part {
            Some(part) => part.end - part.start,
            None => self.descriptor.size(),
        }
    }

    /// Whether the body holds no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes as they come, checked: the stream ends with an error if they are too few, too many,
    /// or not those of the digest. What was read before that error must not be trusted.
    ///
    /// Dropping the stream ends the fetch.
    #[must_use]
    pub fn into_stream(self) -> VerifiedStream {
        let verifier = match self.part {
            Some(_) => Verifier::for_length(&self.descriptor, self.len()),
            None => Verifier::new(&self.descriptor),
        };
        VerifiedStream::new(self.body.into_stream(), verifier)
    }

    /// The bytes unchecked, for who checks them: a destination that verifies what it stores.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// All bytes at once, checked. Memory grows with what arrives, not with what is claimed.
    ///
    /// # Errors
    /// - [`ErrorKind::SizeExceedsLimit`] before anything is read if there are more than `limit` bytes.
    /// - [`ErrorKind::SizeMismatch`] or [`ErrorKind::DigestMismatch`] if the bytes are not those of
    ///   the descriptor.
    /// - What the backend fails with while the bytes are read.
    pub async fn bytes(self, limit: u64) -> Result<Bytes> {
        check_limit(&self.descriptor, self.len(), limit)?;
        verify::collect(self.into_stream()).await
    }
}

impl Content {
    /// Reads all bytes, checked, if they are at most as many as a manifest may have: 4 MiB.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes).
    pub async fn read(self) -> Result<Bytes> {
        self.bytes(MAX_MANIFEST_SIZE).await
    }

    /// Writes the bytes to the file `path`, in constant memory. The file appears when it is complete and verified,
    /// and replaces a file that exists; until then the bytes are in a temporary file in the same directory, which is
    /// removed on an error and when the future is dropped. The file is not synced to the disk.
    ///
    /// # Errors
    /// - [`ErrorKind::SizeMismatch`] or [`ErrorKind::DigestMismatch`] if the bytes are not those of
    ///   the descriptor.
    /// - [`ErrorKind::NotFound`] if the directory does not exist, and what else the file system fails with.
    /// - What the backend fails with while the bytes are read.
    pub async fn write_to(self, path: impl AsRef<Path>) -> Result<()> {
        save::save(self.into_stream(), path.as_ref()).await
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("descriptor", &self.descriptor)
            .field("range", &self.part)
            .finish_non_exhaustive()
    }
}

pub(crate) fn check_limit(descriptor: &Descriptor, size: u64, limit: u64) -> Result<()> {
    if size <= limit {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::SizeExceedsLimit,
        format!("is {size} bytes, more than the limit of {limit}"),
    )
    .with_subject(descriptor.digest()))
}
