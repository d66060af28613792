//! Reads the parts of a large object from a body.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use object_store::{PutPayload, PutPayloadMut};
use tranship::{Body, ByteStream, Result};

use super::memory_budget::Reservation;

/// The time without a byte after which a source is considered to hang.
const HANG_TIMEOUT: Duration = Duration::from_secs(5);

/// Pieces smaller than this, in bytes, are joined, because the overhead of a piece exceeds its content.
const SMALL_PIECE: usize = 8 * 1024;

/// Reads a body in parts of a given length.
pub(super) struct PartReader {
    stream: ByteStream,
    rest: Bytes,
}

impl PartReader {
    pub(super) fn new(body: Body) -> Self {
        Self {
            stream: body.into_stream(),
            rest: Bytes::new(),
        }
    }

    /// Returns the next `length` bytes, or fewer at the end. Drops the reservation if the source hangs.
    pub(super) async fn next_part(
        &mut self,
        length: u64,
        reservation: &mut Option<Reservation>,
    ) -> Result<PutPayload> {
        let mut part = PutPayloadMut::new().with_block_size(256 * 1024);
        loop {
            let missing = length.saturating_sub(part.content_length() as u64);
            if missing == 0 {
                break;
            }
            let Some(mut piece) = self.next_piece(reservation).await? else {
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

    /// Returns the next bytes as they arrive; `None` at the end. Drops the reservation if the source hangs.
    pub(super) async fn next_piece(
        &mut self,
        reservation: &mut Option<Reservation>,
    ) -> Result<Option<Bytes>> {
        if !self.rest.is_empty() {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        loop {
            let next = match reservation {
                Some(_) => match tokio::time::timeout(HANG_TIMEOUT, self.stream.next()).await {
                    Ok(next) => next,
                    Err(_) => {
                        *reservation = None;
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
    use futures_util::stream;

    use super::*;
    use crate::driver::object::memory_budget::MemoryBudget;

    fn pieces(lengths: &[usize]) -> PartReader {
        let pieces: Vec<_> = lengths
            .iter()
            .map(|length| Ok(Bytes::from(vec![7; *length])))
            .collect();
        PartReader::new(Body::from_stream(stream::iter(pieces)))
    }

    #[tokio::test]
    async fn parts_have_the_requested_length_whatever_the_pieces_are() {
        let mut reader = pieces(&[1, 0, 9_999, 40_000, 3]);
        let mut lengths = Vec::new();
        loop {
            let part = reader.next_part(12_000, &mut None).await.expect("readable");
            lengths.push(part.content_length());
            if part.content_length() < 12_000 {
                break;
            }
        }
        assert_eq!(lengths, [12_000, 12_000, 12_000, 12_000, 2_003]);
    }

    #[tokio::test]
    async fn tiny_pieces_are_joined() {
        let mut reader = pieces(&[1; 10_000]);
        let part = reader.next_part(20_000, &mut None).await.expect("readable");
        assert_eq!(part.content_length(), 10_000);
        assert!(part.as_ref().len() < 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_hangs_loses_its_reservation() {
        let memory = MemoryBudget::new(1);
        let mut reservation = Some(memory.reserve(1).await);
        let mut reader = PartReader::new(Body::from_stream(stream::pending()));
        let hanging = reader.next_part(1, &mut reservation);
        let waiting = memory.reserve(1);
        tokio::select! {
            _ = hanging => panic!("there is nothing to read"),
            _ = waiting => {}
        }
    }
}
