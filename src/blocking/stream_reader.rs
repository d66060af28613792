//! Reads a stream of bytes on a blocking thread.

use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use bytes::{Buf as _, Bytes};
use futures_core::Stream;
use futures_util::StreamExt as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::task::{lock, start};
use crate::error::{Error, Result};

/// How many pieces of the stream may wait for the reader.
const QUEUE: usize = 4;

/// Runs `work` on a blocking thread with a reader of `stream`, and waits for it.
///
/// At most four pieces of the stream are held; the stream is not polled while the reader has enough. If `work` ends
/// before the stream does, the rest is not read: `work` reads to the end if the end of the stream matters, as for the
/// check of a [`VerifiedStream`](crate::VerifiedStream).
///
/// If the future is dropped, the next read of `work` fails, and `work` ends with it.
///
/// ```
/// use std::io::Read as _;
/// use bytes::Bytes;
/// use tranship::blocking;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let stream = futures_util::stream::iter(["he", "llo"].map(|piece| Ok(Bytes::from(piece))));
/// let text = blocking::read_stream(stream, |mut reader| {
///     let mut text = String::new();
///     let read = reader.read_to_string(&mut text);
///     read.map_err(|error| tranship::Error::io("cannot be read", error))?;
///     Ok(text)
/// });
/// assert_eq!(text.await?, "hello");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// - The error of the stream if it fails, whatever `work` returns.
/// - The error of `work`, or [`Io`](crate::ErrorKind::Io) if it panics or the runtime ends.
/// - [`Unsupported`](crate::ErrorKind::Unsupported) outside a tokio runtime.
pub async fn read_stream<T: Send + 'static>(
    stream: impl Stream<Item = Result<Bytes>> + Send,
    work: impl FnOnce(StreamReader) -> Result<T> + Send + 'static,
) -> Result<T> {
    if Handle::try_current().is_err() {
        return Err(
            Error::unsupported("a stream is read on another thread, and there is none")
                .with_hint("call this in a tokio runtime"),
        );
    }
    let (sender, receiver) = mpsc::channel(QUEUE);
    let failure = Arc::new(Mutex::new(None));
    let reader = StreamReader {
        receiver,
        piece: Bytes::new(),
        failure: Arc::clone(&failure),
        is_at_end: false,
    };
    let task = start(move || work(reader));
    let pump = async move {
        let mut stream = std::pin::pin!(stream);
        loop {
            let next = stream.next().await;
            let is_last = !matches!(next, Some(Ok(_)));
            let message = match next {
                Some(Ok(bytes)) => Message::Bytes(bytes),
                Some(Err(error)) => Message::Failed(error),
                None => Message::End,
            };
            // An error means that the reader is gone.
            if sender.send(message).await.is_err() || is_last {
                return;
            }
        }
    };
    let (outcome, ()) = futures_util::future::join(task, pump).await;
    match lock(&failure).take() {
        Some(error) => Err(error),
        None => outcome,
    }
}

enum Message {
    Bytes(Bytes),
    Failed(Error),
    End,
}

/// Reads the stream of [`read_stream`].
///
/// Where the stream fails, a read fails with [`io::ErrorKind::Other`]; the work returns any error then, as
/// [`read_stream`] returns that of the stream.
pub struct StreamReader {
    receiver: mpsc::Receiver<Message>,
    piece: Bytes,
    failure: Arc<Mutex<Option<Error>>>,
    is_at_end: bool,
}

impl Read for StreamReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.is_at_end {
            match self.receiver.blocking_recv() {
                Some(Message::Bytes(bytes)) => self.piece = bytes,
                Some(Message::End) => self.is_at_end = true,
                Some(Message::Failed(error)) => {
                    *lock(&self.failure) = Some(error);
                    return Err(io::Error::other("the stream failed"));
                }
                None => return Err(io::Error::other("the operation was dropped")),
            }
        }
        let length = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

impl fmt::Debug for StreamReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamReader").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use futures_util::stream;

    fn io(error: io::Error) -> Error {
        Error::io("cannot be read", error)
    }

    fn pieces(count: u8) -> impl Stream<Item = Result<Bytes>> + Send {
        stream::iter((0..count).map(|at| Ok(Bytes::from(vec![at; 3]))))
    }

    #[tokio::test]
    async fn all_pieces_arrive_in_their_order() {
        let read = read_stream(pieces(100), |mut reader| {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map_err(io)?;
            Ok(all)
        });
        let expected: Vec<u8> = (0..100).flat_map(|at| [at; 3]).collect();
        assert_eq!(read.await.expect("read"), expected);
    }

    #[tokio::test]
    async fn the_error_of_the_stream_is_returned() {
        let failing = pieces(2).chain(stream::once(async { Err(Error::not_found("x")) }));
        let outcome = read_stream(failing, |mut reader| {
            reader.read_to_end(&mut Vec::new()).map_err(io)
        });
        let error = outcome.await.expect_err("the stream fails");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn work_may_end_before_the_stream_does() {
        let endless = stream::repeat_with(|| Ok(Bytes::from_static(b"x")));
        let outcome = read_stream(endless, |mut reader| {
            reader.read_exact(&mut [0; 10]).map_err(io)
        });
        outcome.await.expect("ten bytes");
    }

    #[tokio::test]
    async fn work_ends_when_the_future_is_dropped() {
        let (sender, ended) = tokio::sync::oneshot::channel();
        let reading = read_stream(stream::pending(), move |mut reader| {
            let outcome = reader.read(&mut [0; 1]);
            let _ = sender.send(outcome.is_err());
            Ok(())
        });
        let mut reading = Box::pin(reading);
        assert!(futures_util::poll!(&mut reading).is_pending());
        drop(reading);
        assert!(ended.await.expect("the work ended"));
    }

    #[test]
    fn outside_a_runtime_it_is_an_error() {
        use futures_util::FutureExt as _;

        let outcome = read_stream(pieces(1), |_| Ok(())).now_or_never();
        let error = outcome.expect("at once").expect_err("no runtime");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
