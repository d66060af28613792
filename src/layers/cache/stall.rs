//! How long an upstream may send nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{TryStreamExt as _, stream};
use tokio::time::Instant;

use crate::*;

/// The time that a read of the upstream has waited since bytes last arrived. Attempts to open it again do not reset the
/// time, as an upstream may accept every request and then send nothing.
#[derive(Debug)]
pub(super) struct Stall {
    limit: Duration,
    waited: Mutex<Duration>,
    is_exceeded: AtomicBool,
}

impl Stall {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            waited: Mutex::default(),
            is_exceeded: AtomicBool::default(),
        }
    }

    /// Waits for `reading`.
    ///
    /// # Errors
    /// - [`Timeout`](ErrorKind::Timeout) if nothing has arrived for longer than the limit, which is not retryable.
    /// - The error of `reading`.
    pub(super) async fn bound<T>(
        &self,
        reading: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let left = self.limit.saturating_sub(*self.waited());
        let begun = Instant::now();
        let read = tokio::time::timeout(left, reading).await;
        *self.waited() += begun.elapsed();
        read.unwrap_or_else(|_| {
            self.is_exceeded.store(true, Ordering::Relaxed);
            Err(stalled(self.limit))
        })
    }

    /// Notes that bytes have arrived.
    pub(super) fn reset(&self) {
        *self.waited() = Duration::ZERO;
    }

    /// Returns whether the upstream has stalled for longer than the limit.
    pub(super) fn is_exceeded(&self) -> bool {
        self.is_exceeded.load(Ordering::Relaxed)
    }

    fn waited(&self) -> MutexGuard<'_, Duration> {
        self.waited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens content of the upstream with `opening`, and bounds how long its bytes are waited for.
    ///
    /// # Errors
    /// As [`bound`](Self::bound).
    pub(super) async fn open(
        self,
        opening: impl Future<Output = Result<Content>> + Send,
    ) -> Result<Content> {
        let content = self.bound(opening).await?;
        Ok(content.map_body(|body| Arc::new(self).bound_body(body)))
    }

    /// Returns `body` with a bound on how long its bytes are waited for.
    pub(super) fn bound_body(self: Arc<Self>, body: Body) -> Body {
        if body.local_file().is_some() {
            return body;
        }
        let state = (body.into_stream(), self);
        Body::from_stream(stream::try_unfold(state, async |(mut chunks, stall)| {
            let Some(chunk) = stall.bound(chunks.try_next()).await? else {
                return Ok(None);
            };
            stall.reset();
            Ok(Some((chunk, (chunks, stall))))
        }))
    }
}

pub(super) fn stalled(limit: Duration) -> Error {
    let message = format!(
        "the upstream registry sent nothing for {} seconds",
        limit.as_secs_f32()
    );
    Error::new(ErrorKind::Timeout, message).with_retryable(false)
}
