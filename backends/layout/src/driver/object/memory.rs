//! How much of what is pushed is held at a time.
//!
//! An object store takes a large object in parts of 5 MiB and more, and each part must be held until
//! the store has it. So all pushes of a store share one stock: a push takes its share before it
//! gathers a part, and gives it back when the part has been sent. Those who find nothing left wait,
//! and read nothing meanwhile; since nobody waits while holding a share, the wait ends.
//!
//! A source that stands still does not hold up the others: after a few seconds its share counts no
//! more, and another push gets it. So what is held can exceed the stock by a part for each source that
//! hangs, and only by that.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use object_store::{PutPayload, PutPayloadMut};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tranship::{Body, ByteStream, Result};

/// After this time without a byte, a source hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pieces smaller than this, in bytes, are put together: each costs more than its bytes.
const SMALL_PIECE: usize = 8 * 1024;

/// What is counted, in bytes.
const UNIT: u64 = 1024;

/// The stock.
#[derive(Debug)]
pub(super) struct Memory {
    permits: Arc<Semaphore>,
    units: u32,
}

/// The right to hold some bytes, until it is dropped.
#[derive(Debug, Clone)]
pub(super) struct Share(
    #[allow(dead_code, reason = "held, not read")] Option<Arc<OwnedSemaphorePermit>>,
);

impl Memory {
    /// A stock of `bytes`.
    pub(super) fn new(bytes: u64) -> Self {
        let units = units(bytes).max(1);
        Self {
            permits: Arc::new(Semaphore::new(units as usize)),
            units,
        }
    }

    /// Waits for a share of `bytes`; of more than there ever is, for all there is.
    pub(super) async fn share(&self, bytes: u64) -> Share {
        let units = units(bytes).min(self.units);
        let permit = Arc::clone(&self.permits).acquire_many_owned(units).await;
        // The semaphore is never closed.
        Share(permit.ok().map(Arc::new))
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX >> 4)
}

/// Takes the bytes of a body in parts.
pub(super) struct Intake {
    stream: ByteStream,
    rest: Bytes,
}

impl Intake {
    pub(super) fn new(body: Body) -> Self {
        Self {
            stream: body.into_stream(),
            rest: Bytes::new(),
        }
    }

    /// The next `length` bytes; fewer only at the end. The share is lost if the source hangs.
    pub(super) async fn part(
        &mut self,
        length: u64,
        share: &mut Option<Share>,
    ) -> Result<PutPayload> {
        let mut part = PutPayloadMut::new().with_block_size(256 * 1024);
        loop {
            let missing = length.saturating_sub(part.content_length() as u64);
            if missing == 0 {
                break;
            }
            let Some(mut piece) = self.piece(share).await? else {
                break;
            };
            if piece.len() as u64 > missing {
                self.rest = piece.split_off(usize::try_from(missing).unwrap_or(usize::MAX));
            }
            if piece.len() < SMALL_PIECE {
                part.extend_from_slice(&piece);
            } else {
                part.push(piece);
            }
        }
        Ok(part.freeze())
    }

    /// The next bytes, as they come; `None` at the end.
    pub(super) async fn piece(&mut self, share: &mut Option<Share>) -> Result<Option<Bytes>> {
        if !self.rest.is_empty() {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        loop {
            let next = match share {
                Some(_) => match tokio::time::timeout(PATIENCE, self.stream.next()).await {
                    Ok(next) => next,
                    Err(_) => {
                        *share = None;
                        continue;
                    }
                },
                None => self.stream.next().await,
            };
            match next.transpose()? {
                Some(piece) if piece.is_empty() => {}
                piece => return Ok(piece),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, stream};

    use super::*;

    fn pieces(lengths: &[usize]) -> Intake {
        let pieces: Vec<_> = lengths
            .iter()
            .map(|length| Ok(Bytes::from(vec![7; *length])))
            .collect();
        Intake::new(Body::from_stream(stream::iter(pieces)))
    }

    #[tokio::test]
    async fn parts_have_the_length_asked_for_whatever_the_pieces_are() {
        let mut intake = pieces(&[1, 0, 9_999, 40_000, 3]);
        let mut lengths = Vec::new();
        loop {
            let part = intake.part(12_000, &mut None).await.expect("readable");
            lengths.push(part.content_length());
            if part.content_length() < 12_000 {
                break;
            }
        }
        assert_eq!(lengths, [12_000, 12_000, 12_000, 12_000, 2_003]);
    }

    #[tokio::test]
    async fn tiny_pieces_are_put_together() {
        let mut intake = pieces(&[1; 10_000]);
        let part = intake.part(20_000, &mut None).await.expect("readable");
        assert_eq!(part.content_length(), 10_000);
        assert!(part.as_ref().len() < 3);
    }

    #[tokio::test]
    async fn a_share_waits_for_others_and_comes_when_they_are_done() {
        let memory = Memory::new(10 * UNIT);
        let one = memory.share(6 * UNIT).await;
        let mut two = Box::pin(memory.share(6 * UNIT));
        assert!(two.as_mut().now_or_never().is_none());
        drop(one);
        let _two = two.await;
        // More than there is means all of it.
        assert!(memory.share(u64::MAX).now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_hangs_loses_its_share() {
        let memory = Memory::new(UNIT);
        let mut share = Some(memory.share(UNIT).await);
        let mut intake = Intake::new(Body::from_stream(stream::pending()));
        let hanging = intake.part(1, &mut share);
        let waiting = memory.share(UNIT);
        tokio::select! {
            _ = hanging => panic!("there is nothing to read"),
            _ = waiting => {}
        }
    }
}
