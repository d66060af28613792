//! The body of a response.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body::{Body, Frame, SizeHint};
use tracing::Span;
use tranship::{ByteStream, Error};
use tranship_server::{PageRequest, ResponseBody};

/// The body of a response of [`Page`](crate::Page).
#[must_use]
pub struct PageBody {
    kind: Kind,
    /// The request, which ends with the body; `None` for those of the registry's service.
    request: Option<PageRequest>,
}

enum Kind {
    Registry(ResponseBody),
    Whole(Bytes),
    Stream { bytes: ByteStream, length: u64 },
}

impl PageBody {
    pub(crate) fn registry(body: ResponseBody) -> Self {
        Self::of(Kind::Registry(body))
    }

    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::of(Kind::Whole(bytes.into()))
    }

    /// Sends `bytes`, of which there are `length`. An error of the stream breaks the response off.
    pub(crate) fn stream(bytes: ByteStream, length: u64) -> Self {
        Self::of(Kind::Stream { bytes, length })
    }

    fn of(kind: Kind) -> Self {
        Self {
            kind,
            request: None,
        }
    }

    /// Keeps `request` until the end of the body.
    pub(crate) fn set_request(&mut self, mut request: PageRequest) {
        if self.is_end_stream() {
            request.set_complete();
        } else {
            self.request = Some(request);
        }
    }
}

impl Body for PageBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        // Content may be fetched from another registry while it is read.
        let span = this.request.as_ref().map(PageRequest::span);
        let _entered = span.as_ref().map(Span::enter);
        match &mut this.kind {
            Kind::Registry(body) => Pin::new(body).poll_frame(context),
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                record_sent(&mut this.request, bytes.len(), true);
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Stream { bytes, length } => {
                let piece = ready!(bytes.poll_next_unpin(context));
                match &piece {
                    Some(Ok(piece)) => {
                        *length = length.saturating_sub(piece.len() as u64);
                        record_sent(&mut this.request, piece.len(), *length == 0);
                    }
                    Some(Err(error)) => tracing::error!(%error, "a download broke off"),
                    None => {}
                }
                Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Registry(body) => body.is_end_stream(),
            Kind::Whole(bytes) => bytes.is_empty(),
            // The verdict about the content follows its last byte.
            Kind::Stream { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Registry(body) => body.size_hint(),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream { length, .. } => SizeHint::with_exact(*length),
        }
    }
}

fn record_sent(request: &mut Option<PageRequest>, bytes: usize, is_last: bool) {
    if let Some(request) = request {
        request.add_sent(bytes);
        if is_last {
            request.set_complete();
        }
    }
}

impl std::fmt::Debug for PageBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PageBody")
            .field("bytes", &self.size_hint().exact())
            .finish_non_exhaustive()
    }
}
