//! The check of size and digest while bytes pass.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_util::StreamExt as _;

use super::ByteStream;
use crate::descriptor::Descriptor;
use crate::digest::{Digest, Digester};
use crate::error::{Error, ErrorKind, Result};

/// Checks bytes against a descriptor as they pass: for backends that store what they are given.
///
/// ```
/// use tranship::{Descriptor, ErrorKind, MediaType, Verifier};
///
/// let descriptor = Descriptor::of(MediaType::OCTET_STREAM, b"hello");
/// let mut verifier = Verifier::new(&descriptor);
/// verifier.update(b"hel")?;
/// assert_eq!(verifier.finish().unwrap_err().kind(), ErrorKind::SizeMismatch);
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Verifier {
    digest: Digest,
    digester: Option<Digester>,
    expected: u64,
    seen: u64,
}

impl Verifier {
    /// Expects the whole content of `descriptor`.
    #[must_use]
    pub fn new(descriptor: &Descriptor) -> Self {
        Self {
            digest: *descriptor.digest(),
            digester: Some(Digester::new(descriptor.digest().algorithm())),
            expected: descriptor.size(),
            seen: 0,
        }
    }

    /// Expects `length` bytes of a part of `descriptor`'s content, whatever they are.
    #[must_use]
    pub fn for_length(descriptor: &Descriptor, length: u64) -> Self {
        Self {
            digest: *descriptor.digest(),
            digester: None,
            expected: length,
            seen: 0,
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`ErrorKind::SizeMismatch`] as soon as there are too many.
    pub fn update(&mut self, bytes: &[u8]) -> Result<()> {
        self.seen = self.seen.saturating_add(bytes.len() as u64);
        if self.seen > self.expected {
            let expected = self.expected;
            return Err(self.size_mismatch(format!("the content has more than {expected} bytes")));
        }
        if let Some(digester) = &mut self.digester {
            digester.update(bytes);
        }
        Ok(())
    }

    /// Says that there are no more bytes.
    ///
    /// # Errors
    /// [`ErrorKind::SizeMismatch`] if some are missing, [`ErrorKind::DigestMismatch`] if they are
    /// others than the digest says.
    pub fn finish(self) -> Result<()> {
        if self.seen != self.expected {
            let (seen, expected) = (self.seen, self.expected);
            return Err(self.size_mismatch(format!(
                "the content has only {seen} bytes, {expected} were expected"
            )));
        }
        match self.digester.map(Digester::finish) {
            Some(actual) if actual != self.digest => Err(Error::new(
                ErrorKind::DigestMismatch,
                format!("the content hashes to {actual}"),
            )
            .with_subject(self.digest)
            .with_hint("the content was altered on its way or where it is stored")),
            _ => Ok(()),
        }
    }

    fn size_mismatch(&self, message: String) -> Error {
        Error::new(ErrorKind::SizeMismatch, message).with_subject(self.digest)
    }
}

/// A stream of bytes that ends with an error unless they are those of their descriptor.
pub struct VerifiedStream {
    inner: ByteStream,
    // `None` once the stream has ended, for good or bad.
    verifier: Option<Verifier>,
}

impl VerifiedStream {
    pub(super) fn new(inner: ByteStream, verifier: Verifier) -> Self {
        Self {
            inner,
            verifier: Some(verifier),
        }
    }
}

impl Stream for VerifiedStream {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(verifier) = &mut this.verifier else {
            return Poll::Ready(None);
        };
        let error = match ready!(this.inner.poll_next_unpin(context)) {
            Some(Ok(bytes)) => match verifier.update(&bytes) {
                Ok(()) => return Poll::Ready(Some(Ok(bytes))),
                Err(error) => Some(error),
            },
            Some(Err(error)) => Some(error),
            None => None,
        };
        let verdict = match (error, this.verifier.take()) {
            (Some(error), _) => Err(error),
            (None, Some(verifier)) => verifier.finish(),
            (None, None) => Ok(()),
        };
        Poll::Ready(verdict.err().map(Err))
    }
}

impl fmt::Debug for VerifiedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedStream")
            .field("verifier", &self.verifier)
            .finish_non_exhaustive()
    }
}

/// Reads a checked stream to its end.
pub(super) async fn collect(mut stream: VerifiedStream) -> Result<Bytes> {
    let Some(first) = stream.next().await.transpose()? else {
        return Ok(Bytes::new());
    };
    let Some(second) = stream.next().await.transpose()? else {
        // One piece, as from memory, is handed on as it is.
        return Ok(first);
    };
    let mut all = BytesMut::from(&first[..]);
    all.extend_from_slice(&second);
    while let Some(bytes) = stream.next().await.transpose()? {
        all.extend_from_slice(&bytes);
    }
    Ok(all.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Body, Content};
    use crate::media_type::MediaType;

    fn content(expected: &[u8], pieces: &[&'static [u8]]) -> Content {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|piece| Ok(Bytes::from_static(piece)))
            .collect();
        Content::new(
            Descriptor::of(MediaType::OCTET_STREAM, expected),
            Body::from_stream(futures_util::stream::iter(pieces)),
        )
    }

    #[tokio::test]
    async fn good_content_passes_in_any_number_of_pieces() {
        for pieces in [&[&b"hello"[..]][..], &[b"he", b"", b"l", b"lo"]] {
            let bytes = content(b"hello", pieces).bytes(5).await.expect("good");
            assert_eq!(bytes, "hello");
        }
        assert_eq!(content(b"", &[]).bytes(0).await.expect("empty"), "");
    }

    #[tokio::test]
    async fn each_defect_has_its_kind() {
        for (pieces, kind) in [
            (&[&b"hell"[..]][..], ErrorKind::SizeMismatch),
            (&[b"hello", b"!"], ErrorKind::SizeMismatch),
            (&[b"jello"], ErrorKind::DigestMismatch),
        ] {
            let error = content(b"hello", pieces).bytes(5).await.expect_err("bad");
            assert_eq!(error.kind(), kind);
        }
    }

    #[tokio::test]
    async fn the_limit_is_checked_before_anything_is_read() {
        let unread = futures_util::stream::poll_fn(|_| panic!("must not be polled"));
        let huge = Descriptor::new(
            MediaType::OCTET_STREAM,
            Digest::of(b""),
            Descriptor::MAX_SIZE,
        );
        let error = Content::new(huge, Body::from_stream(unread))
            .bytes(1024)
            .await
            .expect_err("over the limit");
        assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit);
    }

    #[tokio::test]
    async fn a_claimed_size_allocates_nothing() {
        let huge = Descriptor::new(
            MediaType::OCTET_STREAM,
            Digest::of(b"x"),
            Descriptor::MAX_SIZE,
        );
        let error = Content::from_bytes(huge, Bytes::from_static(b"x"))
            .bytes(u64::MAX)
            .await
            .expect_err("short");
        assert_eq!(error.kind(), ErrorKind::SizeMismatch);
    }

    #[tokio::test]
    async fn a_stream_that_ended_stays_ended() {
        let mut stream = content(b"hello", &[b"jello"]).into_stream();
        assert!(stream.next().await.expect("bytes").is_ok());
        assert!(stream.next().await.expect("verdict").is_err());
        assert!(stream.next().await.is_none());
    }
}
