//! From the body of a request to an upload.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use http::StatusCode;

use super::content_range::ContentRange;
use crate::failure::{Code, Failure};
use crate::request_body::RequestBody;
use crate::state::ServerState;
use crate::upload_sessions::UploadSession;

/// How much is gathered while the backend writes, in bytes.
const GATHERED: usize = 512 * 1024;

/// How much is waited for before the backend gets it, in bytes, and for how long. To hand on each read
/// of the socket would cost more than the writing.
const WORTHWHILE: usize = 256 * 1024;
const LINGER: Duration = Duration::from_millis(5);

/// Writes the body to the upload: as many bytes as `range` has, where the request says so.
///
/// What arrives while the backend writes is gathered and written next. So a fast client is written in
/// large pieces and never waits for the disk, and the bytes of a slow one are kept waiting for a moment
/// only. If the body breaks off, what had come of it is written.
pub(super) async fn receive(
    state: &ServerState,
    session: &mut UploadSession,
    body: &mut RequestBody,
    range: Option<ContentRange>,
) -> Result<(), Failure> {
    let mut expected = Expected {
        limit: state.options.max_blob_size,
        announced: range.map(ContentRange::length),
        before: session.offset(),
        seen: 0,
    };
    if let Some(length) = body.length() {
        expected.check_length(length)?;
    }
    let mut gathered = Gathered::default();
    let mut end = None;
    loop {
        if gathered.is_empty() {
            match end {
                Some(Ok(())) => return expected.check_end(),
                Some(Err(failure)) => return Err(failure),
                None => end = gather(body, &mut expected, &mut gathered).await,
            }
            continue;
        }
        if end.is_none() {
            end = linger(body, &mut expected, &mut gathered).await;
        }
        let mut writing = pin!(session.write(gathered.take()));
        loop {
            if end.is_some() || gathered.len() >= GATHERED {
                writing.await?;
                break;
            }
            let more = pin!(gather(body, &mut expected, &mut gathered));
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

/// Takes more until it is worth writing, or nothing comes for a moment; answers how the body ended, if
/// it did.
async fn linger(
    body: &mut RequestBody,
    expected: &mut Expected,
    gathered: &mut Gathered,
) -> Option<Result<(), Failure>> {
    let more = async {
        while gathered.len() < WORTHWHILE {
            let end = gather(body, expected, gathered).await;
            if end.is_some() {
                return end;
            }
        }
        None
    };
    tokio::time::timeout(LINGER, more).await.unwrap_or(None)
}

/// Takes the next piece; answers how the body ended, if it did. Dropping the future loses nothing.
async fn gather(
    body: &mut RequestBody,
    expected: &mut Expected,
    gathered: &mut Gathered,
) -> Option<Result<(), Failure>> {
    match body.next().await {
        Ok(Some(piece)) => match expected.check(&piece) {
            Ok(()) => {
                gathered.add(piece);
                None
            }
            Err(failure) => Some(Err(failure)),
        },
        Ok(None) => Some(Ok(())),
        Err(failure) => Some(Err(failure)),
    }
}

/// Bytes that wait to be written. A piece that comes alone is handed on as it is.
#[derive(Default)]
struct Gathered {
    first: Bytes,
    all: BytesMut,
}

impl Gathered {
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

/// What the body may be.
struct Expected {
    limit: Option<u64>,
    announced: Option<u64>,
    /// How many bytes the upload had before.
    before: u64,
    seen: u64,
}

impl Expected {
    /// Checks the length that the request says the body has.
    fn check_length(&self, length: u64) -> Result<(), Failure> {
        match self.announced {
            Some(announced) if announced != length => Err(other_length(announced)),
            _ => self.check_size(length),
        }
    }

    fn check(&mut self, piece: &[u8]) -> Result<(), Failure> {
        self.seen = self.seen.saturating_add(piece.len() as u64);
        match self.announced {
            Some(announced) if self.seen > announced => Err(other_length(announced)),
            _ => self.check_size(self.seen),
        }
    }

    fn check_end(&self) -> Result<(), Failure> {
        match self.announced {
            Some(announced) if self.seen != announced => Err(other_length(announced)),
            _ => Ok(()),
        }
    }

    fn check_size(&self, bytes: u64) -> Result<(), Failure> {
        match self.limit {
            Some(limit) if self.before.saturating_add(bytes) > limit => Err(Failure::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                Code::SizeInvalid,
                format!("blobs may have {limit} bytes"),
            )),
            _ => Ok(()),
        }
    }
}

fn other_length(announced: u64) -> Failure {
    Failure::bad_request(
        Code::SizeInvalid,
        format!("the Content-Range announces {announced} bytes, the body has another number"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined_in_their_order() {
        let mut gathered = Gathered::default();
        for pieces in [
            &["one"][..],
            &["two", "", "three", "four"],
            &["five", "six"],
        ] {
            for piece in pieces {
                gathered.add(Bytes::from_static(piece.as_bytes()));
            }
            assert_eq!(gathered.take(), pieces.concat());
            assert!(gathered.is_empty());
        }
    }

    #[test]
    fn a_piece_that_comes_alone_is_not_copied() {
        let piece = Bytes::from(vec![7; 10]);
        let mut gathered = Gathered::default();
        gathered.add(piece.clone());
        assert_eq!(gathered.take().as_ptr(), piece.as_ptr());
    }
}
