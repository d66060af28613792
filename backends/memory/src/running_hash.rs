//! The hash of an upload, which runs along with its writes.

use bytes::Bytes;
use tranship::{Algorithm, Digest, Digester};

use crate::offload::Job;

/// The hash of all bytes of an upload so far, by the algorithm that most digests have.
///
/// It is lost where the future of a write was dropped, and whoever needs it hashes everything anew.
#[derive(Debug)]
pub(crate) struct RunningHash {
    job: Option<Job<Digester>>,
    /// How many bytes were handed to the job.
    bytes: u64,
}

impl Default for RunningHash {
    fn default() -> Self {
        Self {
            job: Some(Job::Done(Digester::new(Algorithm::default()))),
            bytes: 0,
        }
    }
}

impl RunningHash {
    /// Goes on with `piece`, which begins at byte `offset`. Returns when the piece before is hashed.
    ///
    /// Dropping the future loses the hash.
    pub(crate) async fn update(&mut self, offset: u64, piece: Bytes) {
        let Some(job) = self.job.take().filter(|_| self.bytes == offset) else {
            return;
        };
        if let Ok(mut digester) = job.finish().await {
            self.bytes += piece.len() as u64;
            self.job = Some(Job::start(piece.len(), move || {
                digester.update(&piece);
                digester
            }));
        }
    }

    /// The digest of what was hashed, and how many bytes that were.
    pub(crate) async fn finish(self) -> Option<(Digest, u64)> {
        let digester = self.job?.finish().await.ok()?;
        Some((digester.finish(), self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_of_all_sizes_are_hashed_in_their_order() {
        let content = Bytes::from((0..200_000_u32).map(|n| n as u8).collect::<Vec<_>>());
        let (mut hash, mut offset) = (RunningHash::default(), 0);
        for end in [1, 100, 70_000, 70_000, 150_000, 200_000] {
            hash.update(offset as u64, content.slice(offset..end)).await;
            offset = end;
        }
        assert_eq!(hash.finish().await, Some((Digest::of(&content), 200_000)));
    }

    #[tokio::test]
    async fn a_gap_loses_the_hash() {
        let mut hash = RunningHash::default();
        hash.update(0, Bytes::from_static(b"one")).await;
        hash.update(4, Bytes::from_static(b"two")).await;
        hash.update(3, Bytes::from_static(b"three")).await;
        assert_eq!(hash.finish().await, None);
    }
}
