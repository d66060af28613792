//! The body of a response.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::request::Parts;
use http_body::{Body, Frame, SizeHint};
use tracing::Span;
use tranship::{ByteStream, Content, Error, ErrorKind};
use tranship_sendfile::Outlet;

use crate::record::RequestRecord;

/// From this many bytes on the system sends a file; below it, reading the file is cheaper.
const MIN_SENDFILE: u64 = 64 * 1024;

/// The body of a response of a [`RegistryService`](crate::RegistryService).
///
/// It ends with an error if the backend fails while the bytes are read, or returns more or fewer bytes than announced.
#[must_use]
pub struct ResponseBody {
    kind: Kind,
    record: Option<Box<RequestRecord>>,
}

enum Kind {
    Whole(Bytes),
    Stream { bytes: ByteStream, left: u64 },
}

impl ResponseBody {
    pub(crate) fn empty() -> Self {
        Self::whole(Bytes::new())
    }

    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self {
            kind: Kind::Whole(bytes),
            record: None,
        }
    }

    /// Returns the bytes of `content` as the response to `request`. Their number is checked, and their digest is not:
    /// the client knows it, and checks it without trusting the server.
    pub(crate) fn content(content: Content, request: &Parts) -> Self {
        let left = content.len();
        let body = content.into_body();
        let bytes = match request.extensions.get::<Outlet>() {
            Some(outlet) if left >= MIN_SENDFILE => outlet.stream(body),
            _ => body.into_stream(),
        };
        Self {
            kind: Kind::Stream { bytes, left },
            record: None,
        }
    }

    /// Keeps `record` until the end of the body.
    pub(crate) fn set_record(&mut self, mut record: Box<RequestRecord>) {
        if self.is_end_stream() {
            record.set_complete();
        } else {
            self.record = Some(record);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        // Content may be fetched from another registry while it is read.
        let span = this.record.as_ref().map(|record| record.span().clone());
        let _entered = span.as_ref().map(Span::enter);
        match &mut this.kind {
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => {
                let piece = std::mem::take(bytes);
                record_sent(&mut this.record, piece.len(), true);
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Kind::Stream { bytes, left } => {
                let frame = match ready!(bytes.poll_next_unpin(context)) {
                    Some(Ok(piece)) => match left.checked_sub(piece.len() as u64) {
                        Some(rest) => {
                            *left = rest;
                            record_sent(&mut this.record, piece.len(), rest == 0);
                            return Poll::Ready(Some(Ok(Frame::data(piece))));
                        }
                        None => Some(Err(size_mismatch())),
                    },
                    Some(Err(error)) => Some(Err(error)),
                    None if *left > 0 => Some(Err(size_mismatch())),
                    None => None,
                };
                if let Some(Err(error)) = &frame {
                    tracing::error!(%error, "a response broke off");
                }
                this.kind = Kind::Whole(Bytes::new());
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Stream { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.kind {
            Kind::Whole(bytes) => bytes.len() as u64,
            Kind::Stream { left, .. } => *left,
        })
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("bytes", &self.size_hint().exact())
            .finish_non_exhaustive()
    }
}

fn record_sent(record: &mut Option<Box<RequestRecord>>, bytes: usize, is_last: bool) {
    if let Some(record) = record {
        record.add_sent(bytes);
        if is_last {
            record.set_complete();
        }
    }
}

fn size_mismatch() -> Error {
    Error::new(
        ErrorKind::SizeMismatch,
        "the size of the stored content differs from its descriptor",
    )
}
