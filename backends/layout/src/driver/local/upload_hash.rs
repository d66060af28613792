//! The hash of an upload, which runs along with its writes.

use bytes::Bytes;
use tranship::{Algorithm, Digest, Digester};

use crate::blocking::Chain;

/// Up to this size, in bytes, a piece is hashed where it is: to hand it to a thread takes as long.
const SMALL: usize = 16 * 1024;

/// The hash of all bytes of an upload so far, by the algorithm that most digests have.
///
/// It is lost where pieces did not come one behind the other, or one was dropped on the way, and
/// whoever needs it reads the file once more. It is never wrong.
pub(super) struct RunningHash(Chain<Hashed>);

struct Hashed {
    digester: Digester,
    /// How many bytes were hashed.
    bytes: u64,
}

impl Hashed {
    fn update(mut self, piece: &[u8]) -> Self {
        self.digester.update(piece);
        self.bytes += piece.len() as u64;
        self
    }
}

impl RunningHash {
    pub(super) fn begin() -> Self {
        Self(Chain::new(Hashed {
            digester: Digester::new(Algorithm::default()),
            bytes: 0,
        }))
    }

    pub(super) fn lost() -> Self {
        Self(Chain::ended())
    }

    /// Goes on with `piece`, which begins at byte `offset`. Returns when the piece before is hashed.
    ///
    /// Dropping the future loses the hash.
    pub(super) async fn update(&mut self, offset: u64, piece: Bytes) {
        let hashed = match self.0.finish().await {
            Ok(hashed) if hashed.bytes == offset => hashed,
            _ => return,
        };
        self.0 = if piece.len() <= SMALL {
            Chain::new(hashed.update(&piece))
        } else {
            Chain::start(move || Ok(hashed.update(&piece)))
        };
    }

    /// The digest, if all of the `size` bytes of the upload were hashed.
    pub(super) async fn finish(&mut self, size: u64) -> Option<Digest> {
        let hashed = self.0.finish().await.ok()?;
        (hashed.bytes == size).then(|| hashed.digester.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_of_all_sizes_are_hashed_in_their_order() {
        let mut hash = RunningHash::begin();
        let content: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();
        let (mut offset, content) = (0, Bytes::from(content));
        for end in [1, 100, 50_000, 50_000, 150_000, 200_000] {
            hash.update(offset as u64, content.slice(offset..end)).await;
            offset = end;
        }
        let digest = hash.finish(200_000).await;
        assert_eq!(digest, Some(Digest::of(&content)));
    }

    #[tokio::test]
    async fn a_gap_loses_the_hash() {
        let mut hash = RunningHash::begin();
        hash.update(0, Bytes::from_static(b"one")).await;
        hash.update(4, Bytes::from_static(b"two")).await;
        hash.update(7, Bytes::from_static(b"three")).await;
        assert_eq!(hash.finish(12).await, None);
    }

    #[tokio::test]
    async fn fewer_bytes_than_there_are_have_no_hash() {
        let mut hash = RunningHash::begin();
        hash.update(0, Bytes::from_static(b"one")).await;
        assert_eq!(hash.finish(4).await, None);
    }

    #[tokio::test]
    async fn a_piece_that_is_dropped_on_the_way_loses_the_hash() {
        use futures_util::FutureExt as _;

        let (go, wait) = std::sync::mpsc::channel();
        let mut hash = RunningHash(Chain::start(move || {
            wait.recv().expect("let go");
            Ok(Hashed {
                digester: Digester::new(Algorithm::default()),
                bytes: 0,
            })
        }));
        let dropped = hash.update(0, Bytes::from_static(b"one")).now_or_never();
        assert!(dropped.is_none());
        go.send(()).expect("the thread waits");
        assert_eq!(hash.finish(0).await, None);
    }
}
