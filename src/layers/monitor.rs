//! Counts calls, and remembers when they last succeeded and failed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::StreamExt as _;

use super::Operation;
use super::intercept::{Intercepted, InterceptedCall, Interceptor, forward_to_intercepted};
use crate::*;

/// A repository or registry whose calls are counted, for a page or a probe that tells whether it works.
///
/// A call fails here if it fails with another error than [`NotFound`](ErrorKind::NotFound) and
/// [`Unsupported`](ErrorKind::Unsupported), which are responses of a registry that works. Content that breaks off while
/// it is read is a failure, too. Calls that are dropped are not counted.
///
/// ```
/// use std::sync::Arc;
/// use tranship::layers::{CallStats, Monitor};
/// use tranship::prelude::*;
/// # use tranship_memory::MemoryRepository;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let stats = Arc::new(CallStats::default());
/// let repository = Monitor::new(MemoryRepository::new(), Arc::clone(&stats));
/// tranship::push_bytes(&repository, tranship::MediaType::OCTET_STREAM, "hello").await?;
/// assert_eq!(stats.calls().succeeded, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Monitor<T>(Intercepted<T, Counting>);

impl<T> Monitor<T> {
    /// Counts the calls of `inner`, a backend or a registry, in `stats`.
    pub fn new(inner: T, stats: Arc<CallStats>) -> Self {
        Self(Intercepted::new(inner, Counting(stats)))
    }
}

forward_to_intercepted!(Monitor);

/// The counts of one or more [`Monitor`]s.
#[derive(Debug, Default)]
pub struct CallStats(Mutex<Calls>);

/// The calls of a [`Monitor`] since it was made.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Calls {
    /// How many have succeeded.
    pub succeeded: u64,
    /// How many have failed.
    pub failed: u64,
    /// How many bytes of content were read.
    pub bytes: u64,
    /// When one last succeeded.
    pub last_success: Option<SystemTime>,
    /// When one last failed, and how.
    pub last_failure: Option<(SystemTime, ErrorKind)>,
}

impl CallStats {
    /// Returns the counts.
    #[must_use]
    pub fn calls(&self) -> Calls {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Calls)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn succeeded(&self) {
        self.change(|calls| {
            calls.succeeded += 1;
            calls.last_success = Some(SystemTime::now());
        });
    }

    fn failed(&self, error: &Error) {
        if error.is_not_found() || error.is_unsupported() {
            return self.succeeded();
        }
        self.change(|calls| {
            calls.failed += 1;
            calls.last_failure = Some((SystemTime::now(), error.kind()));
        });
    }
}

#[derive(Debug)]
struct Counting(Arc<CallStats>);

impl Interceptor for Counting {
    type Call = CountedCall;

    async fn begin(&self, _: Operation) -> Result<CountedCall> {
        Ok(CountedCall(Arc::clone(&self.0)))
    }
}

struct CountedCall(Arc<CallStats>);

impl InterceptedCall for CountedCall {
    fn open(self, body: Body, _: u64) -> Body {
        self.0.succeeded();
        let stats = self.0;
        let add = |stats: &CallStats, bytes| stats.change(|calls| calls.bytes += bytes);
        if body.local_file().is_some() {
            return body.inspect(move |bytes| add(&stats, bytes));
        }
        Body::from_stream(body.into_stream().inspect(move |piece| match piece {
            Ok(piece) => add(&stats, piece.len() as u64),
            Err(error) => stats.failed(error),
        }))
    }

    fn succeed(self, _: u64) {
        self.0.succeeded();
    }

    fn fail(self, error: Error) -> Error {
        self.0.failed(&error);
        error
    }
}
