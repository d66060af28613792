//! Writing the body of a request to an upload.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use http::StatusCode;

use super::content_range::ContentRange;
use crate::request_body::RequestBody;
use crate::response_error::{ErrorCode, ResponseError};
use crate::state::ServerState;
use crate::upload_sessions::UploadSession;

/// The most bytes that are buffered while the backend writes.
const MAX_BUFFERED: usize = 512 * 1024;

/// A write waits until it has this many bytes, or for this time. To pass on each read of the socket would cost more
/// than the writing.
const MIN_WRITE: usize = 256 * 1024;
const MAX_DELAY: Duration = Duration::from_millis(5);

/// Writes the body to the upload, and checks its length against `range`, if the request has one.
///
/// Bytes that arrive while the backend writes are buffered and written next. So the bytes of a fast client are written
/// in large pieces without waiting for the disk, and those of a slow one are delayed only for a moment. If the body
/// breaks off, the bytes that have arrived are written.
pub(super) async fn receive(
    state: &ServerState,
    session: &mut UploadSession,
    body: &mut RequestBody,
    range: Option<ContentRange>,
) -> Result<(), ResponseError> {
    let mut expected = LengthCheck {
        limit: state.options.max_blob_size,
        announced: range.map(ContentRange::length),
        before: session.offset(),
        seen: 0,
    };
    if let Some(length) = body.length() {
        expected.check_length(length)?;
        session.reserve(length)?;
    }
    let mut buffer = WriteBuffer::default();
    let mut end = None;
    loop {
        if buffer.is_empty() {
            match end {
                Some(Ok(())) => return expected.check_end(),
                Some(Err(failure)) => return Err(failure),
                None => end = read_piece(body, &mut expected, &mut buffer).await,
            }
            continue;
        }
        if end.is_none() {
            end = fill(body, &mut expected, &mut buffer).await;
        }
        let mut writing = pin!(session.write(buffer.take()));
        loop {
            if end.is_some() || buffer.len() >= MAX_BUFFERED {
                writing.await?;
                break;
            }
            let more = pin!(read_piece(body, &mut expected, &mut buffer));
            match select(writing.as_mut(), more).await {
                Either::Left((written, _)) => {
                    written?;
                    break;
                }
                Either::Right((ended, _)) => end = ended,
            }
        }
    }
}

/// Reads until there are enough bytes for a write, or the time is over. Returns how the body ended, if it did.
async fn fill(
    body: &mut RequestBody,
    expected: &mut LengthCheck,
    buffer: &mut WriteBuffer,
) -> Option<Result<(), ResponseError>> {
    let more = async {
        while buffer.len() < MIN_WRITE {
            let end = read_piece(body, expected, buffer).await;
            if end.is_some() {
                return end;
            }
        }
        None
    };
    tokio::time::timeout(MAX_DELAY, more).await.unwrap_or(None)
}

/// Reads the next piece. Returns how the body ended, if it did. Dropping the future loses no bytes.
async fn read_piece(
    body: &mut RequestBody,
    expected: &mut LengthCheck,
    buffer: &mut WriteBuffer,
) -> Option<Result<(), ResponseError>> {
    match body.next().await {
        Ok(Some(piece)) => match expected.check(&piece) {
            Ok(()) => {
                buffer.add(piece);
                None
            }
            Err(failure) => Some(Err(failure)),
        },
        Ok(None) => Some(Ok(())),
        Err(failure) => Some(Err(failure)),
    }
}

/// Bytes that are to be written. A single piece is passed on without a copy.
#[derive(Default)]
struct WriteBuffer {
    first: Bytes,
    all: BytesMut,
}

impl WriteBuffer {
    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn add(&mut self, piece: Bytes) {
        if self.is_empty() {
            self.first = piece;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
            self.first.clear();
        }
        self.all.extend_from_slice(&piece);
    }

    fn take(&mut self) -> Bytes {
        let first = std::mem::take(&mut self.first);
        if self.all.is_empty() {
            return first;
        }
        self.all.split().freeze()
    }
}

/// Checks the length of a body.
struct LengthCheck {
    limit: Option<u64>,
    announced: Option<u64>,
    /// The offset of the upload before the body.
    before: u64,
    seen: u64,
}

impl LengthCheck {
    /// Checks the length that the request announces.
    fn check_length(&self, length: u64) -> Result<(), ResponseError> {
        match self.announced {
            Some(announced) if announced != length => Err(length_mismatch(announced)),
            _ => self.check_size(length),
        }
    }

    fn check(&mut self, piece: &[u8]) -> Result<(), ResponseError> {
        self.seen = self.seen.saturating_add(piece.len() as u64);
        match self.announced {
            Some(announced) if self.seen > announced => Err(length_mismatch(announced)),
            _ => self.check_size(self.seen),
        }
    }

    fn check_end(&self) -> Result<(), ResponseError> {
        match self.announced {
            Some(announced) if self.seen != announced => Err(length_mismatch(announced)),
            _ => Ok(()),
        }
    }

    fn check_size(&self, bytes: u64) -> Result<(), ResponseError> {
        match self.limit {
            Some(limit) if self.before.saturating_add(bytes) > limit => Err(ResponseError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                ErrorCode::SizeInvalid,
                format!("the blob is larger than the limit of {limit} bytes"),
            )),
            _ => Ok(()),
        }
    }
}

fn length_mismatch(announced: u64) -> ResponseError {
    ResponseError::bad_request(
        ErrorCode::SizeInvalid,
        format!(
            "the Content-Range announces {announced} bytes, and the body does not have this length"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined_in_their_order() {
        let mut buffer = WriteBuffer::default();
        for pieces in [
            &["one"][..],
            &["two", "", "three", "four"],
            &["five", "six"],
        ] {
            for piece in pieces {
                buffer.add(Bytes::from_static(piece.as_bytes()));
            }
            assert_eq!(buffer.take(), pieces.concat());
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn a_single_piece_is_not_copied() {
        let piece = Bytes::from(vec![7; 10]);
        let mut buffer = WriteBuffer::default();
        buffer.add(piece.clone());
        assert_eq!(buffer.take().as_ptr(), piece.as_ptr());
    }
}
