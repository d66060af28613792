//! Adds a blob to an archive that comes to be: its bytes are hashed and written, each on a thread of
//! its own, while the next ones arrive.

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::OwnedMutexGuard;
use tokio::task::{JoinHandle, spawn_blocking};
use tranship::{Body, Descriptor, Error, ErrorKind, Result, Verifier};

use super::assembly::{Assembly, Slot};
use crate::blocking::{blocking, join};

/// What is gathered, in bytes, before the threads get it. They work on one batch while the next is
/// gathered. A blob that is smaller takes one visit of one thread.
const BATCH: usize = 512 * 1024;

/// The archive, and the right to write to it. It goes along with the work: where that is dropped,
/// the next writer comes when the thread has let go.
pub(super) type Turn = OwnedMutexGuard<Assembly>;

/// What content is written to.
pub(super) trait Receiver: Sized + Send + 'static {
    /// What comes of it.
    type Outcome: Send + 'static;

    /// Writes the next bytes. Blocks.
    fn write(self, pieces: &[Bytes]) -> Result<Self>;

    /// Says that all were written, and that they are those of the descriptor. Blocks.
    fn end(self) -> Result<Self::Outcome>;
}

/// Adds the bytes of `body` as the blob `expected`. If that fails, nothing was added.
pub(super) async fn append(turn: Turn, expected: &Descriptor, body: Body) -> Result<Turn> {
    let target = expected.clone();
    receive(move || Writing::start(turn, &target), expected, body).await
}

/// Hands the bytes of `body` to what `start` begins, and verifies them against `expected`.
pub(super) async fn receive<R: Receiver>(
    start: impl FnOnce() -> Result<R> + Send + 'static,
    expected: &Descriptor,
    body: Body,
) -> Result<R::Outcome> {
    let mut stream = body.into_stream();
    let mut hashing = Task::Ready(Verifier::new(expected));
    let mut start = Some(start);
    let mut receiving: Option<Task<R>> = None;
    let mut batch = Vec::new();
    let mut bytes = 0;
    while let Some(piece) = stream.next().await.transpose()? {
        bytes += piece.len();
        batch.push(piece);
        if bytes < BATCH {
            continue;
        }
        let pieces = std::mem::take(&mut batch);
        bytes = 0;
        let mut verifier = hashing.finish().await?;
        let receiver = match receiving.take() {
            Some(receiving) => receiving.finish().await?,
            None => blocking(begin(start.take())).await?,
        };
        let hashed = pieces.clone();
        hashing = Task::start(move || {
            hashed.iter().try_for_each(|piece| verifier.update(piece))?;
            Ok(verifier)
        });
        receiving = Some(Task::start(move || receiver.write(&pieces)));
    }
    let mut verifier = hashing.finish().await?;
    let receiver = match receiving {
        Some(receiving) => Some(receiving.finish().await?),
        None => None,
    };
    blocking(move || {
        batch.iter().try_for_each(|piece| verifier.update(piece))?;
        verifier.finish()?;
        let receiver = match receiver {
            Some(receiver) => receiver,
            None => begin(start)()?,
        };
        receiver.write(&batch)?.end()
    })
    .await
}

fn begin<R>(
    start: Option<impl FnOnce() -> Result<R> + Send + 'static>,
) -> impl FnOnce() -> Result<R> + Send + 'static {
    move || match start {
        Some(start) => start(),
        None => Err(Error::new(ErrorKind::Io, "the blob was begun before")),
    }
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

/// Work on a blocking thread, or what came of it.
enum Task<T> {
    Ready(T),
    Running(JoinHandle<Result<T>>),
}

impl<T: Send + 'static> Task<T> {
    fn start(work: impl FnOnce() -> Result<T> + Send + 'static) -> Self {
        Self::Running(spawn_blocking(work))
    }

    async fn finish(self) -> Result<T> {
        match self {
            Self::Ready(value) => Ok(value),
            Self::Running(handle) => join(handle).await,
        }
    }
}
