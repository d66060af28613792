//! Receives content: its bytes are hashed and written, each on a thread of
//! its own, while the next ones arrive.

use bytes::Bytes;
use futures_util::StreamExt as _;
use tranship::blocking::{self, HashingSink, Sequence};
use tranship::{Body, Descriptor, Result, Verifier};

/// What is gathered, in bytes, before the threads get it. They work on one batch while the next is
/// gathered. A blob that is smaller takes one visit of one thread.
const BATCH: usize = 512 * 1024;

/// What content is written to.
pub(super) trait Receiver: Sized + Send + 'static {
    /// What comes of it.
    type Outcome: Send + 'static;

    /// Writes the next bytes. Blocks.
    fn write(self, pieces: &[Bytes]) -> Result<Self>;

    /// Says that all were written, and that they are those of the descriptor. Blocks.
    fn end(self) -> Result<Self::Outcome>;
}

/// Hands the bytes of `body` to what `start` begins, and verifies them against `expected`.
pub(super) async fn receive<R: Receiver>(
    start: impl FnOnce() -> Result<R> + Send + 'static,
    expected: &Descriptor,
    body: Body,
) -> Result<R::Outcome> {
    let mut stream = body.into_stream();
    let mut hashing = HashingSink::new(Verifier::new(expected));
    let mut receiving = Sequence::new(Receiving::To(start));
    let mut batch = Vec::new();
    let mut bytes = 0;
    while let Some(piece) = stream.next().await.transpose()? {
        bytes += piece.len();
        batch.push(piece);
        if bytes < BATCH {
            continue;
        }
        bytes = 0;
        let pieces = std::mem::take(&mut batch);
        hashing.update_all(pieces.iter().cloned(), ()).await?;
        receiving
            .then(move |receiving| Ok(Receiving::By(receiving.begun()?.write(&pieces)?)))
            .await?;
    }
    let mut verifier = hashing.finish().await?;
    let receiving = receiving.finish().await?;
    blocking::run(move || {
        batch.iter().try_for_each(|piece| verifier.update(piece))?;
        verifier.finish()?;
        receiving.begun()?.write(&batch)?.end()
    })
    .await
}

/// Who takes the bytes: begun by the thread that has the first of them.
enum Receiving<S, R> {
    To(S),
    By(R),
}

impl<S: FnOnce() -> Result<R>, R> Receiving<S, R> {
    fn begun(self) -> Result<R> {
        match self {
            Self::To(start) => start(),
            Self::By(receiver) => Ok(receiver),
        }
    }
}
