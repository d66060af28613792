//! The body of a response.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body::{Body, Frame, SizeHint};
use tranship::{ByteStream, Error};
use tranship_server::ResponseBody;

/// The body of a response of [`Page`](crate::Page).
#[must_use]
pub struct PageBody(Kind);

enum Kind {
    Registry(ResponseBody),
    Whole(Bytes),
    Stream { bytes: ByteStream, length: u64 },
}

impl PageBody {
    pub(crate) fn registry(body: ResponseBody) -> Self {
        Self(Kind::Registry(body))
    }

    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Whole(bytes.into()))
    }

    /// Sends `bytes`, of which there are `length`. An error of the stream breaks the response off.
    pub(crate) fn stream(bytes: ByteStream, length: u64) -> Self {
        Self(Kind::Stream { bytes, length })
    }
}

impl Body for PageBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.0 {
            Kind::Registry(body) => Pin::new(body).poll_frame(context),
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Stream { bytes, length } => {
                let piece = ready!(bytes.poll_next_unpin(context));
                if let Some(Ok(piece)) = &piece {
                    *length = length.saturating_sub(piece.len() as u64);
                }
                if let Some(Err(error)) = &piece {
                    tracing::error!(%error, "a download broke off");
                }
                Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Registry(body) => body.is_end_stream(),
            Kind::Whole(bytes) => bytes.is_empty(),
            // The verdict about the content follows its last byte.
            Kind::Stream { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Registry(body) => body.size_hint(),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream { length, .. } => SizeHint::with_exact(*length),
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
