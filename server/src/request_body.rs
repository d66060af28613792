//! The body of a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http::StatusCode;
use http::header::EXPECT;
use http::request::Parts;
use http_body::Body;
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;

use crate::response_error::{ErrorCode, ResponseError};

/// The most bytes of an unread body that are discarded, and the longest time that this may take.
const DRAIN_LIMIT: usize = 32 * 1024 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request, independent of the HTTP implementation.
pub(crate) struct RequestBody {
    inner: UnsyncBoxBody<Bytes, BoxError>,
    /// The announced number of bytes, if the client sent a length.
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

    /// Returns the announced number of bytes, if the client sent a length.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Returns the counter of received bytes.
    pub(crate) fn received(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.received)
    }

    /// Reads and discards the rest of the body. Closing a connection to which the client still writes resets it, and
    /// the client would not see the response.
    pub(crate) async fn drain(&mut self, request: &Parts) {
        // A client that waits for "100 Continue" has not sent anything yet.
        if self.inner.is_end_stream() || request.headers.contains_key(EXPECT) {
            return;
        }
        let mut left = DRAIN_LIMIT;
        let read = async {
            while let Ok(Some(bytes)) = self.next().await {
                left = left.saturating_sub(bytes.len());
                if left == 0 {
                    break;
                }
            }
        };
        if tokio::time::timeout(DRAIN_TIMEOUT, read).await.is_err() {
            tracing::debug!("the rest of a request's body did not arrive");
        }
    }

    /// Reads the whole body, which is a `what`.
    ///
    /// # Errors
    /// - 413 if it is larger than `limit` bytes.
    /// - As [`next`](Self::next).
    pub(crate) async fn collect(&mut self, what: &str, limit: u64) -> Result<Bytes, ResponseError> {
        let too_large = || {
            ResponseError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                ErrorCode::SizeInvalid,
                format!("the {what} is larger than the limit of {limit} bytes"),
            )
        };
        if self.length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        if first.len() as u64 > limit {
            return Err(too_large());
        }
        let Some(second) = self.next().await? else {
            return Ok(first);
        };
        let mut all = BytesMut::from(&first[..]);
        let mut next = Some(second);
        while let Some(piece) = next {
            if (all.len() + piece.len()) as u64 > limit {
                return Err(too_large());
            }
            all.extend_from_slice(&piece);
            next = self.next().await?;
        }
        Ok(all.freeze())
    }

    /// Returns the next bytes, or `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ResponseError> {
        while !self.is_over {
            let frame = tokio::time::timeout(self.timeout, self.inner.frame()).await;
            let Ok(frame) = frame else {
                self.is_over = true;
                return Err(ResponseError::new(
                    StatusCode::REQUEST_TIMEOUT,
                    ErrorCode::BlobUploadInvalid,
                    "the client sent nothing for too long",
                ));
            };
            match frame {
                None => self.is_over = true,
                Some(Err(error)) => {
                    self.is_over = true;
                    tracing::debug!(%error, "a request's body broke off");
                    return Err(ResponseError::bad_request(
                        ErrorCode::BlobUploadInvalid,
                        "the request's body broke off",
                    ));
                }
                // Trailers have no meaning for a registry.
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
