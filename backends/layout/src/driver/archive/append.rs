//! Adds a blob to an archive that comes to be.

use bytes::Bytes;
use tranship::{Body, Descriptor, Result};

use super::assembly::{Slot, Turn};
use super::receive::{Receiver, receive};

/// Adds the bytes of `body` as the blob `expected`. If that fails, nothing was added.
pub(super) async fn append(turn: Turn, expected: &Descriptor, body: Body) -> Result<Turn> {
    let target = expected.clone();
    receive(move || Writing::start(turn, &target), expected, body).await
}

/// A blob that is being written.
struct Writing {
    turn: Turn,
    slot: Slot,
    at: u64,
}

impl Writing {
    fn start(mut turn: Turn, expected: &Descriptor) -> Result<Self> {
        let slot = turn.start(expected.digest(), expected.size())?;
        let at = slot.data.start;
        Ok(Self { turn, slot, at })
    }
}

impl Receiver for Writing {
    type Outcome = Turn;

    fn write(mut self, pieces: &[Bytes]) -> Result<Self> {
        for piece in pieces {
            self.turn.write(piece, self.at)?;
            self.at += piece.len() as u64;
        }
        Ok(self)
    }

    fn end(mut self) -> Result<Turn> {
        self.turn.end(self.slot)?;
        Ok(self.turn)
    }
}
