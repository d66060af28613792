//! Sources that are long, slow, broken or endless.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::sync::watch;
use tranship::{
    Algorithm, Body, Descriptor, Digester, Error, ErrorKind, MediaType, OpenAt, Result, Source,
};

const PIECE: usize = 64 * 1024;

/// Returns `size` pseudo-random bytes for `seed`.
pub(crate) fn noise(seed: u64, size: usize) -> Bytes {
    // xorshift64*: full period for every state but zero.
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(size);
    bytes.into()
}

/// A source that must not be opened: opening it fails.
pub(crate) struct UnopenedSource;

#[async_trait]
impl OpenAt for UnopenedSource {
    async fn open_at(&self, _offset: u64) -> Result<Body> {
        Err(Error::new(
            ErrorKind::Aborted,
            "the source was opened, although its content is there already",
        ))
    }
}

/// Long content that is generated while it is read, and that counts its bytes in memory.
pub(crate) struct GeneratedSource {
    size: u64,
    pattern: Bytes,
    alive: Arc<AtomicUsize>,
    peak: Arc<AtomicUsize>,
}

impl GeneratedSource {
    pub(crate) fn new(seed: u64, size: u64) -> Self {
        Self {
            size,
            pattern: noise(seed, PIECE),
            alive: Arc::default(),
            peak: Arc::default(),
        }
    }

    /// Hashes the content, in constant memory.
    pub(crate) fn descriptor(&self, algorithm: Algorithm) -> Descriptor {
        let mut digester = Digester::new(algorithm);
        let mut offset = 0;
        while offset < self.size {
            let piece = piece_at(&self.pattern, offset, self.size);
            digester.update(&piece);
            offset += piece.len() as u64;
        }
        Descriptor::new(MediaType::OCTET_STREAM, digester.finish(), self.size)
    }

    pub(crate) fn source(&self) -> Source<'_> {
        Source::open_at(self)
    }

    /// Returns `length` bytes at `offset`.
    pub(crate) fn part(&self, offset: u64, length: u64) -> Vec<u8> {
        let (mut at, end) = (offset, offset + length);
        let mut part = Vec::new();
        while at < end {
            let piece = piece_at(&self.pattern, at, end);
            at += piece.len() as u64;
            part.extend_from_slice(&piece);
        }
        part
    }

    /// Returns the largest number of bytes that existed at the same time.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl OpenAt for GeneratedSource {
    async fn open_at(&self, offset: u64) -> Result<Body> {
        if offset > self.size {
            return Err(Error::new(ErrorKind::RangeInvalid, "opened beyond the end"));
        }
        let (pattern, size) = (self.pattern.clone(), self.size);
        let (alive, peak) = (Arc::clone(&self.alive), Arc::clone(&self.peak));
        let pieces = stream::unfold(offset, move |at| {
            let piece = (at < size).then(|| {
                let bytes = piece_at(&pattern, at, size);
                let next = at + bytes.len() as u64;
                let now = alive.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
                peak.fetch_max(now, Ordering::Relaxed);
                let counted = Counted {
                    bytes,
                    alive: Arc::clone(&alive),
                };
                (Ok(Bytes::from_owner(counted)), next)
            });
            std::future::ready(piece)
        });
        Ok(Body::from_stream(pieces))
    }
}

/// Returns the piece that begins at `offset`: the pattern, with the number of the piece in its first bytes.
fn piece_at(pattern: &Bytes, offset: u64, end: u64) -> Vec<u8> {
    let number = offset / PIECE as u64;
    let within = usize::try_from(offset % PIECE as u64).unwrap_or_default();
    let mut piece = pattern.to_vec();
    piece[..8].copy_from_slice(&number.to_le_bytes());
    piece.drain(..within);
    piece.truncate(usize::try_from(end - offset).unwrap_or(usize::MAX));
    piece
}

struct Counted {
    bytes: Vec<u8>,
    alive: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

/// Content in pieces of the given lengths, repeatedly; a length of zero is an empty piece. The reader has to wait
/// before each piece.
pub(crate) struct SourceInPieces {
    pub(crate) bytes: Bytes,
    pub(crate) lengths: &'static [usize],
}

#[async_trait]
impl OpenAt for SourceInPieces {
    async fn open_at(&self, offset: u64) -> Result<Body> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let mut rest = self.bytes.slice(start.min(self.bytes.len())..);
        let mut pieces = Vec::new();
        for length in self.lengths.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            pieces.push(Ok(rest.split_to((*length).min(rest.len()))));
        }
        let pieces = stream::iter(pieces).then(|piece| async {
            tokio::task::yield_now().await;
            piece
        });
        Ok(Body::from_stream(pieces))
    }
}

/// Bytes, and then an error of kind [`ErrorKind::Aborted`], each time it is opened.
pub(crate) struct BreakingSource(pub(crate) Bytes);

#[async_trait]
impl OpenAt for BreakingSource {
    async fn open_at(&self, offset: u64) -> Result<Body> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.0.slice(start.min(self.0.len())..);
        let broken = Error::new(ErrorKind::Aborted, "the source broke off");
        Ok(Body::from_stream(stream::iter([Ok(rest), Err(broken)])))
    }
}

/// More zeros than any reader should read. A reader that continues gets an error of kind [`ErrorKind::Aborted`] before
/// it fills the memory of the machine.
pub(crate) struct EndlessSource;

#[async_trait]
impl OpenAt for EndlessSource {
    async fn open_at(&self, _offset: u64) -> Result<Body> {
        const PIECES: usize = 64 * 1024;
        let zeros = stream::repeat_with(|| Bytes::from_static(&[0; 1024])).take(PIECES);
        let pieces = zeros.then(|piece| async {
            tokio::task::yield_now().await;
            Ok(piece)
        });
        let end = stream::once(async {
            Err(Error::new(
                ErrorKind::Aborted,
                "the source was read on and on, although it has more bytes than it should",
            ))
        });
        Ok(Body::from_stream(pieces.chain(end)))
    }
}

/// Content that pauses in the middle until it is released.
pub(crate) struct PausingSource {
    bytes: Bytes,
    reached: watch::Sender<bool>,
    released: watch::Sender<bool>,
}

impl PausingSource {
    pub(crate) fn new(bytes: &Bytes) -> Self {
        Self {
            bytes: bytes.clone(),
            reached: watch::Sender::new(false),
            released: watch::Sender::new(false),
        }
    }

    /// Waits until the first half has been read and the second is requested.
    pub(crate) async fn reached(&self) {
        let mut reached = self.reached.subscribe();
        // The sender is in `self`, so it cannot be gone.
        let _ = reached.wait_for(|reached| *reached).await;
    }

    /// Releases the second half.
    pub(crate) fn release(&self) {
        self.released.send_replace(true);
    }
}

#[async_trait]
impl OpenAt for PausingSource {
    async fn open_at(&self, offset: u64) -> Result<Body> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let mut rest = self.bytes.slice(start.min(self.bytes.len())..);
        let first = rest.split_to(rest.len() / 2);
        let (reached, mut released) = (self.reached.clone(), self.released.subscribe());
        let second = stream::once(async move {
            reached.send_replace(true);
            let _ = released.wait_for(|released| *released).await;
            Ok(rest)
        });
        Ok(Body::from_stream(stream::iter([Ok(first)]).chain(second)))
    }
}
