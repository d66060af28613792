//! The body of a response, from the server or from a quirk.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a response of a [`Quirky`](super::Quirky) service around one whose bodies are `B`.
#[must_use]
pub struct QuirkyBody<B>(Kind<B>);

enum Kind<B> {
    Whole(Option<Bytes>),
    Streamed {
        body: Pin<Box<B>>,
        /// Whether the length is hidden.
        hides_length: bool,
    },
}

impl<B> QuirkyBody<B> {
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Whole(Some(bytes.into())))
    }

    pub(crate) fn streamed(body: B) -> Self {
        Self(Kind::Streamed {
            body: Box::pin(body),
            hides_length: false,
        })
    }

    /// Lets it seem to be of unknown length.
    pub(crate) fn hide_length(&mut self) {
        if let Kind::Streamed { hides_length, .. } = &mut self.0 {
            *hides_length = true;
        }
    }
}

impl<B> Body for QuirkyBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.get_mut().0 {
            Kind::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Streamed { body, .. } => body
                .as_mut()
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(Into::into))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Kind::Streamed { body, hides_length } => !hides_length && body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Kind::Streamed { body, hides_length } => match hides_length {
                true => SizeHint::default(),
                false => body.size_hint(),
            },
        }
    }
}

impl<B> fmt::Debug for QuirkyBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuirkyBody").finish_non_exhaustive()
    }
}
