//! Sources that behave as sources do outside of tests: long, slow, broken, endless.

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

/// `size` bytes that follow from `seed`.
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

/// A source that must not be needed: opening it fails.
pub(crate) struct Untouchable;

#[async_trait]
impl OpenAt for Untouchable {
    async fn open_at(&self, _offset: u64) -> Result<Body> {
        Err(Error::new(
            ErrorKind::Aborted,
            "the source was opened, although its content is there already",
        ))
    }
}

/// A long content that is made as it is read, and that counts how much of it is alive.
pub(crate) struct Generated {
    size: u64,
    pattern: Bytes,
    alive: Arc<AtomicUsize>,
    peak: Arc<AtomicUsize>,
}

impl Generated {
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

    /// The bytes of `length` from `offset` on.
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

    /// The most bytes that were handed out and not dropped at any one time.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl OpenAt for Generated {
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

/// The piece that begins at `offset`: the pattern, with the number of the piece over its first bytes.
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

/// The content in pieces of the given lengths, over and over; a length of zero is an empty piece. It
/// makes its reader wait before each piece.
pub(crate) struct InPieces {
    pub(crate) bytes: Bytes,
    pub(crate) lengths: &'static [usize],
}

#[async_trait]
impl OpenAt for InPieces {
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
pub(crate) struct Breaking(pub(crate) Bytes);

#[async_trait]
impl OpenAt for Breaking {
    async fn open_at(&self, offset: u64) -> Result<Body> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.0.slice(start.min(self.0.len())..);
        let broken = Error::new(ErrorKind::Aborted, "the source broke off");
        Ok(Body::from_stream(stream::iter([Ok(rest), Err(broken)])))
    }
}

/// Zeros without end, as far as any reader should go. One that goes on is stopped by an error of kind
/// [`ErrorKind::Aborted`], before it fills the memory of the machine.
pub(crate) struct Endless;

#[async_trait]
impl OpenAt for Endless {
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

/// Content that stops in the middle until it is released.
pub(crate) struct Held {
    bytes: Bytes,
    reached: watch::Sender<bool>,
    released: watch::Sender<bool>,
}

impl Held {
    pub(crate) fn new(bytes: &Bytes) -> Self {
        Self {
            bytes: bytes.clone(),
            reached: watch::Sender::new(false),
            released: watch::Sender::new(false),
        }
    }

    /// Returns when the first half has been taken and the second is asked for.
    pub(crate) async fn reached(&self) {
        let mut reached = self.reached.subscribe();
        // The sender is in `self`, so it cannot be gone.
        let _ = reached.wait_for(|reached| *reached).await;
    }

    /// Lets the second half come.
    pub(crate) fn release(&self) {
        self.released.send_replace(true);
    }
}

#[async_trait]
impl OpenAt for Held {
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
