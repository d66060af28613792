//! Bodies of requests and of answers.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures_util::StreamExt as _;
use http::StatusCode;
use http::header::EXPECT;
use http::request::Parts;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use tranship::{ByteStream, Content, Error, ErrorKind};
use tranship_sendfile::Outlet;

use crate::failure::{Code, Failure};
use crate::record::Record;

/// How much of a body that nobody wants is read, in bytes, and for how long.
const DRAINED: usize = 32 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(5);
/// From how many bytes on it is cheaper not to read a file, but to have the system send it.
const WORTH_AN_OUTLET: u64 = 64 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request, whatever it came with.
pub(crate) struct RequestBody {
    inner: UnsyncBoxBody<Bytes, BoxError>,
    /// How many bytes there were to come, where the client said so.
    length: Option<u64>,
    received: Arc<AtomicU64>,
    is_over: bool,
    timeout: Duration,
}

impl RequestBody {
    pub(crate) fn new<B>(body: B, timeout: Duration) -> Self
    where
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let length = body.size_hint().exact();
        let inner = body
            .map_frame(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
            .map_err(Into::into)
            .boxed_unsync();
        Self {
            inner,
            length,
            received: Arc::default(),
            is_over: false,
            timeout,
        }
    }

    /// How many bytes the whole has, where the client said so.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// How many bytes have come, now and later.
    pub(crate) fn received(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.received)
    }

    /// Reads on though nobody wants the bytes. A connection that is closed while the client still
    /// writes is reset, and takes the answer with it.
    pub(crate) async fn drain(&mut self, request: &Parts) {
        // Who asks first has not sent anything yet.
        if self.inner.is_end_stream() || request.headers.contains_key(EXPECT) {
            return;
        }
        let mut left = DRAINED;
        let read = async {
            while let Ok(Some(bytes)) = self.next().await {
                left = left.saturating_sub(bytes.len());
                if left == 0 {
                    break;
                }
            }
        };
        if tokio::time::timeout(DRAIN_TIME, read).await.is_err() {
            tracing::debug!("the rest of a body does not come");
        }
    }

    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        while !self.is_over {
            let frame = tokio::time::timeout(self.timeout, self.inner.frame()).await;
            let Ok(frame) = frame else {
                self.is_over = true;
                return Err(Failure::new(
                    StatusCode::REQUEST_TIMEOUT,
                    Code::BlobUploadInvalid,
                    "the client sent nothing for too long",
                ));
            };
            match frame {
                None => self.is_over = true,
                Some(Err(error)) => {
                    self.is_over = true;
                    tracing::debug!(%error, "a request's body broke off");
                    return Err(Failure::bad_request(
                        Code::BlobUploadInvalid,
                        "the request's body broke off",
                    ));
                }
                // Trailers say nothing to a registry.
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.received
                            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
                        return Ok(Some(bytes));
                    }
                }
            }
        }
        Ok(None)
    }
}

/// The body of an answer of a [`RegistryService`](crate::RegistryService).
///
/// It ends with an error if the backend fails while the bytes are read, or has others than it said.
#[must_use]
pub struct ResponseBody {
    kind: Kind,
    record: Option<Box<Record>>,
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

    /// The bytes of `content` in answer to `request`, checked for their number. Their digest is the
    /// client's to check: it knows it, and has to trust nobody.
    pub(crate) fn content(content: Content, request: &Parts) -> Self {
        let left = content.len();
        let body = content.into_body();
        let bytes = match request.extensions.get::<Outlet>() {
            Some(outlet) if left >= WORTH_AN_OUTLET => outlet.stream(body),
            _ => body.into_stream(),
        };
        Self {
            kind: Kind::Stream { bytes, left },
            record: None,
        }
    }

    /// Has `record` written down when the body is over.
    pub(crate) fn recorded(&mut self, mut record: Box<Record>) {
        if self.is_end_stream() {
            record.completes();
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
        match &mut this.kind {
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => {
                let piece = std::mem::take(bytes);
                note(&mut this.record, piece.len(), true);
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Kind::Stream { bytes, left } => {
                let answer = match ready!(bytes.poll_next_unpin(context)) {
                    Some(Ok(piece)) => match left.checked_sub(piece.len() as u64) {
                        Some(rest) => {
                            *left = rest;
                            note(&mut this.record, piece.len(), rest == 0);
                            return Poll::Ready(Some(Ok(Frame::data(piece))));
                        }
                        None => Some(Err(other_size())),
                    },
                    Some(Err(error)) => Some(Err(error)),
                    None if *left > 0 => Some(Err(other_size())),
                    None => None,
                };
                if let Some(Err(error)) = &answer {
                    tracing::error!(%error, "an answer broke off");
                }
                this.kind = Kind::Whole(Bytes::new());
                Poll::Ready(answer)
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

fn note(record: &mut Option<Box<Record>>, bytes: usize, is_last: bool) {
    if let Some(record) = record {
        record.sends(bytes);
        if is_last {
            record.completes();
        }
    }
}

fn other_size() -> Error {
    Error::new(
        ErrorKind::SizeMismatch,
        "the stored content has another size than its descriptor says",
    )
}
