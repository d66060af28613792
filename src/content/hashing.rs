//! Hashes content on blocking threads, while it is written.

use bytes::Bytes;

use super::verify::Verifier;
use crate::blocking::{CancelOnDrop, SMALL, Sequence};
use crate::digest::{Algorithm, Digest, Digester};
use crate::error::{Error, ErrorKind, Result};

/// How much is gathered, in bytes, before it is hashed, and how much is hashed before looking whether the work is
/// cancelled.
const PART: usize = 1024 * 1024;

/// Takes bytes in their order: a [`Verifier`] or a [`Digester`].
pub trait Hasher: Send + 'static {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// Those of [`Verifier::update`]. A [`Digester`] has none.
    fn take(&mut self, bytes: &[u8]) -> Result<()>;
}

impl Hasher for Verifier {
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.update(bytes)
    }
}

impl Hasher for Digester {
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.update(bytes);
        Ok(())
    }
}

/// Hashes pieces of content on blocking threads, in their order, while the caller writes them or waits for the
/// next.
///
/// Pieces are gathered into batches of 1 MiB. Content that is not more than one batch, and at most 64 KiB, is hashed in
/// place. When this is dropped, at most 1 MiB is still hashed.
///
/// ```
/// use bytes::Bytes;
/// use tranship::{Descriptor, HashingSink, MediaType, Verifier};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let expected = Descriptor::of(MediaType::OCTET_STREAM, b"hello world");
/// let mut sink = HashingSink::new(Verifier::new(&expected));
/// for piece in ["hello", " world"] {
///     sink.update(Bytes::from_static(piece.as_bytes())).await?;
/// }
/// sink.finish().await?.finish()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct HashingSink<H> {
    hasher: State<H>,
    cancel: CancelOnDrop,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    bytes: u64,
}

#[derive(Debug)]
enum State<H> {
    /// Nothing was handed to another thread yet.
    Here(H),
    Running(Sequence<H>),
    /// The hasher is gone after an error.
    Failed,
}

impl<H: Hasher> HashingSink<H> {
    /// Returns a sink that hands all bytes to `hasher`.
    #[must_use]
    pub fn new(hasher: H) -> Self {
        Self {
            hasher: State::Here(hasher),
            cancel: CancelOnDrop::default(),
            gathered: Vec::new(),
            gathered_bytes: 0,
            bytes: 0,
        }
    }

    /// Returns how many bytes have been accepted.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Accepts the next bytes, and waits if hashing is slower than they arrive.
    ///
    /// If the future is dropped after it was polled, the bytes have been accepted all the same.
    ///
    /// # Errors
    /// The error of the hasher on earlier bytes, or [`Io`](crate::ErrorKind::Io) after an error was returned.
    pub async fn update(&mut self, piece: Bytes) -> Result<()> {
        self.gather(piece);
        if self.gathered_bytes < PART {
            return Ok(());
        }
        self.hand_over(()).await
    }

    fn gather(&mut self, piece: Bytes) {
        self.bytes += piece.len() as u64;
        self.gathered_bytes += piece.len();
        self.gathered.push(piece);
    }

    /// Accepts the next bytes as one batch with those that were gathered before, and drops `guard` when they are
    /// hashed.
    ///
    /// If the future is dropped after it was polled, the bytes have been accepted all the same, but not the guard.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub async fn update_all(
        &mut self,
        pieces: impl IntoIterator<Item = Bytes>,
        guard: impl Send + 'static,
    ) -> Result<()> {
        pieces.into_iter().for_each(|piece| self.gather(piece));
        self.hand_over(guard).await
    }

    /// Returns the hasher after all bytes. If the future is dropped, the hasher is lost.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub async fn finish(mut self) -> Result<H> {
        if let State::Here(hasher) = &mut self.hasher
            && self.gathered_bytes <= SMALL
        {
            self.gathered
                .iter()
                .try_for_each(|piece| hasher.take(piece))?;
        } else if self.gathered_bytes > 0 {
            self.hand_over(()).await?;
        }
        match self.hasher {
            State::Here(hasher) => Ok(hasher),
            State::Running(sequence) => sequence.finish().await,
            State::Failed => Err(has_ended()),
        }
    }

    async fn hand_over(&mut self, guard: impl Send + 'static) -> Result<()> {
        let sequence = self.sequence()?;
        sequence.ready().await?;
        let pieces = std::mem::take(&mut self.gathered);
        self.gathered_bytes = 0;
        let cancelled = self.cancel.flag();
        self.sequence()?.then_now(move |mut hasher| {
            let taken = pieces.iter().try_for_each(|piece| {
                // A piece can be as large as the content.
                let mut parts = piece.chunks(PART);
                parts.try_for_each(|part| cancelled.check().and_then(|()| hasher.take(part)))
            });
            drop((pieces, guard));
            taken.map(|()| hasher)
        });
        Ok(())
    }

    fn sequence(&mut self) -> Result<&mut Sequence<H>> {
        self.hasher = match std::mem::replace(&mut self.hasher, State::Failed) {
            State::Here(hasher) => State::Running(Sequence::new(hasher)),
            other => other,
        };
        match &mut self.hasher {
            State::Running(sequence) => Ok(sequence),
            State::Here(_) | State::Failed => Err(has_ended()),
        }
    }
}

/// The digest of an upload, which is hashed beside its writes.
///
/// It is lost where bytes are not written one after the other; the whole content is hashed again in that case.
#[derive(Debug)]
pub struct UploadHash(Option<HashingSink<Digester>>);

impl Default for UploadHash {
    /// The hash of an upload without content, by sha256.
    fn default() -> Self {
        Self(Some(HashingSink::new(Digester::new(Algorithm::default()))))
    }
}

impl UploadHash {
    /// Returns a hash that is not known, such as that of an upload that another process began.
    #[must_use]
    pub fn lost() -> Self {
        Self(None)
    }

    /// Adds `piece`, which begins at byte `offset` of the content.
    ///
    /// If the future is dropped after it was polled, the piece has been added all the same.
    pub async fn update(&mut self, offset: u64, piece: Bytes) {
        let Some(sink) = self.0.as_mut().filter(|sink| sink.bytes() == offset) else {
            self.0 = None;
            return;
        };
        if sink.update(piece).await.is_err() {
            self.0 = None;
        }
    }

    /// Returns the digest, if all of the `size` bytes of the upload were hashed. If the future is dropped, it is lost.
    pub async fn finish(self, size: u64) -> Option<Digest> {
        let sink = self.0.filter(|sink| sink.bytes() == size)?;
        sink.finish().await.ok().map(Digester::finish)
    }
}

fn has_ended() -> Error {
    Error::new(ErrorKind::Io, "the content could not be hashed before")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::Descriptor;
    use crate::media_type::MediaType;

    fn content() -> Bytes {
        let bytes: Vec<u8> = (0..3_500_000_u32).map(|number| number as u8).collect();
        bytes.into()
    }

    #[tokio::test]
    async fn pieces_of_all_sizes_are_hashed_in_their_order() {
        let content = content();
        for is_batch in [false, true] {
            let mut sink = HashingSink::new(Digester::new(Algorithm::default()));
            let mut offset = 0;
            for end in [1, 100, 70_000, 70_000, 1_500_000, content.len()] {
                let piece = content.slice(offset..end);
                let accepted = match is_batch {
                    true => sink.update_all([piece], ()).await,
                    false => sink.update(piece).await,
                };
                accepted.expect("hashed");
                offset = end;
            }
            assert_eq!(sink.bytes(), content.len() as u64);
            let digester = sink.finish().await.expect("hashed");
            assert_eq!(digester.finish(), Digest::of(&content));
        }
    }

    #[tokio::test]
    async fn too_many_bytes_end_the_sink() {
        let expected = Descriptor::of(MediaType::OCTET_STREAM, b"hello");
        let mut sink = HashingSink::new(Verifier::new(&expected));
        let mut outcome = Ok(());
        while outcome.is_ok() {
            outcome = sink.update_all([Bytes::from_static(b"hello")], ()).await;
        }
        let error = outcome.expect_err("too many");
        assert_eq!(error.kind(), ErrorKind::SizeMismatch);
        assert!(sink.finish().await.is_err());
    }

    #[tokio::test]
    async fn a_guard_is_kept_until_its_pieces_are_hashed() {
        let (guard, mut dropped) = tokio::sync::oneshot::channel::<()>();
        let mut sink = HashingSink::new(Digester::new(Algorithm::default()));
        sink.update_all([content()], guard).await.expect("accepted");
        sink.finish().await.expect("hashed");
        assert!(dropped.try_recv().is_err());
    }

    #[test]
    fn no_runtime_is_needed() {
        use futures_util::FutureExt as _;

        let hashed = async {
            let mut sink = HashingSink::new(Digester::new(Algorithm::default()));
            sink.update(content()).await?;
            sink.finish().await
        };
        let digester = hashed.now_or_never().expect("at once").expect("hashed");
        assert_eq!(digester.finish(), Digest::of(&content()));
    }

    #[tokio::test]
    async fn a_gap_or_a_missing_byte_loses_the_hash_of_an_upload() {
        let mut whole = UploadHash::default();
        whole.update(0, Bytes::from_static(b"one")).await;
        assert_eq!(whole.finish(3).await, Some(Digest::of(b"one")));
        let mut gap = UploadHash::default();
        gap.update(0, Bytes::from_static(b"one")).await;
        gap.update(4, Bytes::from_static(b"two")).await;
        gap.update(7, Bytes::from_static(b"three")).await;
        assert_eq!(gap.finish(12).await, None);
        let mut short = UploadHash::default();
        short.update(0, Bytes::from_static(b"one")).await;
        assert_eq!(short.finish(4).await, None);
        assert_eq!(UploadHash::lost().finish(0).await, None);
    }
}
