//! The bodies of requests. They have exactly the announced length, and the error of their source is kept.

use std::ops::Range;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use tranship::{ByteStream, Error, ErrorKind, Result};

use super::request::Payload;

/// Up to this size, in bytes, a body is read before it is sent, so that it is written together with the head of the request
/// in one system call, and often sent in one packet.
const SMALL: u64 = 128 * 1024;

/// The progress of a body while another task sends it. When this is dropped, the body ends with an error, so that a request
/// whose future is dropped does not continue.
#[derive(Debug, Default)]
pub(crate) struct Progress(Arc<State>);

#[derive(Debug, Default)]
struct State {
    pieces: AtomicU64,
    failure: Mutex<Option<Error>>,
}

impl Progress {
    /// Returns how many pieces of the body have been read.
    fn pieces(&self) -> u64 {
        self.0.pieces.load(Ordering::Relaxed)
    }

    /// Waits for `sending` until no piece of the body has been read for `limit`. Returns `None` in that case.
    pub(super) async fn wait<T>(
        &self,
        sending: impl Future<Output = T>,
        limit: Duration,
    ) -> Option<T> {
        let mut sending = pin!(sending);
        let mut seen = self.pieces();
        loop {
            match tokio::time::timeout(limit, &mut sending).await {
                Ok(sent) => return Some(sent),
                Err(_) if self.pieces() != seen => seen = self.pieces(),
                Err(_) => return None,
            }
        }
    }

    /// Takes the error of the source, if it has failed.
    pub(crate) fn take_failure(&self) -> Option<Error> {
        lock(&self.0.failure).take()
    }
}

/// Opens `payload` and returns it as the body of a request. `progress` records what is read of it.
///
/// # Errors
/// Those of the source, and `SizeMismatch` if a small source has another size than announced.
pub(crate) async fn request_body(
    payload: &Payload<'_>,
    progress: &Progress,
) -> Result<reqwest::Body> {
    let (source, range, total) = match payload {
        Payload::Empty => return Ok(Bytes::new().into()),
        Payload::Bytes(bytes) => return Ok(bytes.clone().into()),
        Payload::Source {
            source,
            range,
            total,
        } => (source, range.clone(), *total),
    };
    let mut opened = source.open(range.start).await?.into_stream();
    if range.is_empty() {
        // hyper does not poll a body of length zero, so we check here that the source is empty.
        let is_too_long = !is_at_end(&mut opened).await? && range.end == total;
        return if is_too_long {
            Err(wrong_size(total, "is longer"))
        } else {
            Ok(Bytes::new().into())
        };
    }
    let length = range.end - range.start;
    let pieces = exactly(opened, range, total);
    if length <= SMALL {
        return Ok(gather(pieces).await?.into());
    }
    Ok(watched(pieces, progress))
}

/// Returns a body that records its pieces and its error in `progress`.
fn watched(
    pieces: impl Stream<Item = Result<Bytes>> + Send + 'static,
    progress: &Progress,
) -> reqwest::Body {
    let state = Arc::downgrade(&progress.0);
    reqwest::Body::wrap_stream(pieces.map(move |piece| {
        let Some(state) = state.upgrade() else {
            return Err(std::io::Error::other("the request has been dropped"));
        };
        state.pieces.fetch_add(1, Ordering::Relaxed);
        piece.map_err(|error| {
            let text = error.to_string();
            lock(&state.failure).get_or_insert(error);
            std::io::Error::other(text)
        })
    }))
}

/// Joins all pieces. There is nearly always only one.
async fn gather(pieces: impl Stream<Item = Result<Bytes>>) -> Result<Bytes> {
    let mut pieces = pin!(pieces);
    let mut whole = pieces.next().await.transpose()?.unwrap_or_default();
    while let Some(piece) = pieces.next().await.transpose()? {
        let mut longer = BytesMut::from(whole);
        longer.extend_from_slice(&piece);
        whole = longer.freeze();
    }
    Ok(whole)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the bytes `range` of a source that was opened at their start. If the range ends the source, the last piece is
/// returned only after the source has ended: with it the registry has all bytes, and the stream is not polled again.
fn exactly(
    source: ByteStream,
    range: Range<u64>,
    total: u64,
) -> impl Stream<Item = Result<Bytes>> + Send {
    let left = range.end - range.start;
    let is_end = range.end == total;
    stream::try_unfold((source, left), move |(mut source, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let mut piece = loop {
            match source.next().await.transpose()? {
                Some(piece) if piece.is_empty() => {}
                Some(piece) => break piece,
                None => return Err(wrong_size(total, "ends early")),
            }
        };
        let length = piece.len() as u64;
        if length < left {
            return Ok(Some((piece, (source, left - length))));
        }
        if is_end && (length > left || !is_at_end(&mut source).await?) {
            return Err(wrong_size(total, "is longer"));
        }
        piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        Ok(Some((piece, (source, 0))))
    })
}

async fn is_at_end(source: &mut ByteStream) -> Result<bool> {
    while let Some(piece) = source.next().await.transpose()? {
        if !piece.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn wrong_size(total: u64, what: &str) -> Error {
    Error::new(
        ErrorKind::SizeMismatch,
        format!("the content should have {total} bytes, and {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt as _;
    use tranship::Source;

    async fn read(pieces: &[&'static str], range: Range<u64>, total: u64) -> Result<String> {
        let pieces: Vec<Result<Bytes>> = pieces
            .iter()
            .map(|piece| match *piece {
                "!" => Err(Error::new(ErrorKind::Io, "broken")),
                piece => Ok(Bytes::from_static(piece.as_bytes())),
            })
            .collect();
        let source: ByteStream = Box::pin(stream::iter(pieces));
        let read: Vec<Bytes> = exactly(source, range, total).try_collect().await?;
        Ok(String::from_utf8_lossy(&read.concat()).into_owned())
    }

    #[tokio::test]
    async fn the_range_and_nothing_else_is_sent() {
        assert_eq!(
            read(&["hel", "", "lo"], 0..5, 5).await.expect("whole"),
            "hello"
        );
        assert_eq!(read(&["hel", "lo"], 0..4, 5).await.expect("a part"), "hell");
        assert_eq!(read(&["lo"], 3..5, 5).await.expect("the rest"), "lo");
        assert_eq!(read(&[], 0..0, 0).await.expect("nothing"), "");
    }

    #[tokio::test]
    async fn a_source_of_another_length_never_sends_its_last_piece() {
        for pieces in [
            &["hel"][..],
            &["hello", "", "!"],
            &["hello", "x"],
            &["hello world"],
        ] {
            assert!(read(pieces, 0..5, 5).await.is_err(), "{pieces:?}");
        }
        let error = read(&["hello", "!"], 0..5, 5).await.expect_err("late");
        assert_eq!(error.kind(), ErrorKind::Io);
    }

    async fn opened_body(
        content: &'static [u8],
        range: Range<u64>,
        total: u64,
    ) -> Result<reqwest::Body> {
        let source = Source::from(Bytes::from_static(content));
        let payload = Payload::Source {
            source: &source,
            range,
            total,
        };
        request_body(&payload, &Progress::default()).await
    }

    #[tokio::test]
    async fn a_small_body_is_in_one_piece() {
        let body = opened_body(b"hello", 1..4, 5).await.expect("opened");
        assert_eq!(body.as_bytes(), Some(&b"ell"[..]));
        let pieces = [b"hel", &b"lo"[..]].map(|piece| Ok(Bytes::from_static(piece)));
        let whole = gather(stream::iter(pieces)).await.expect("whole");
        assert_eq!(whole, &b"hello"[..]);
    }

    #[tokio::test]
    async fn a_small_body_of_another_length_is_not_begun() {
        for total in [4, 6] {
            let error = opened_body(b"hello", 0..total, total)
                .await
                .expect_err("wrong");
            assert_eq!(error.kind(), ErrorKind::SizeMismatch);
        }
    }

    #[tokio::test]
    async fn a_large_body_is_not_gathered() {
        static LARGE: [u8; SMALL as usize + 1] = [0; SMALL as usize + 1];
        let size = LARGE.len() as u64;
        let body = opened_body(&LARGE, 0..size, size).await.expect("opened");
        assert!(body.as_bytes().is_none());
    }
}
