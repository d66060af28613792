//! Receives content: its bytes are hashed on one thread and written on another, while the next ones arrive.

use bytes::Bytes;
use futures_util::StreamExt as _;
use tranship::HashingSink;
use tranship::blocking::{self, Sequence};
use tranship::{Body, Descriptor, Result, Verifier};

/// How many bytes are collected before the threads get them. They work on one batch while the next one is collected. A
/// blob that is smaller is handled by one thread at once.
const BATCH: usize = 512 * 1024;

/// A destination of content.
pub(super) trait Receiver: Sized + Send + 'static {
    /// The result when all content was written.
    type Outcome: Send + 'static;

    /// Writes the next bytes. Blocks.
    fn write(self, pieces: &[Bytes]) -> Result<Self>;

    /// Ends the content, which was verified. Blocks.
    fn end(self) -> Result<Self::Outcome>;
}

/// Writes the content of `body` to the receiver that `start` returns, and verifies it against `expected`.
pub(super) async fn receive<R: Receiver>(
    start: impl FnOnce() -> Result<R> + Send + 'static,
    expected: &Descriptor,
    body: Body,
) -> Result<R::Outcome> {
    let mut stream = body.into_stream();
    let mut hashing = HashingSink::new(Verifier::new(expected));
    let mut receiver = Sequence::new(ReceiverState::NotStarted(start));
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
        receiver
            .then(move |receiver| Ok(ReceiverState::Started(receiver.start()?.write(&pieces)?)))
            .await?;
    }
    let mut verifier = hashing.finish().await?;
    let receiver = receiver.finish().await?;
    blocking::run(move || {
        batch.iter().try_for_each(|piece| verifier.update(piece))?;
        verifier.finish()?;
        receiver.start()?.write(&batch)?.end()
    })
    .await
}

/// A receiver, which is started by the thread that has the first bytes.
enum ReceiverState<S, R> {
    NotStarted(S),
    Started(R),
}

impl<S: FnOnce() -> Result<R>, R> ReceiverState<S, R> {
    fn start(self) -> Result<R> {
        match self {
            Self::NotStarted(start) => start(),
            Self::Started(receiver) => Ok(receiver),
        }
    }
}
