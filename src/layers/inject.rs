//! Makes calls slow, and makes them fail: for tests.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::intercept::{Intercepted, InterceptedCall, Interceptor, forward_to_intercepted};
use super::{Operation, OperationName};
use crate::*;

/// A repository or registry with latency and errors, to test what a program does about them.
///
/// The repositories of a registry, and the uploads, batches and listings of a repository, share the latency, the rules
/// and the counts of their layer. Methods that return at once, such as [`Backend::info`], and
/// [`Registry::repository`] are passed on.
///
/// Dropping a future while it waits for the latency drops a call that has not begun.
///
/// ```
/// use tranship::layers::{Inject, InjectOptions, OperationName};
/// use tranship::prelude::*;
/// use tranship::{ErrorKind, MediaType, push_bytes};
/// # use tranship_memory::MemoryRepository;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let second_write_fails =
///     InjectOptions::default().with_failing_call(OperationName::Write, 2, ErrorKind::Unavailable);
/// let repository = Inject::new(MemoryRepository::new(), second_write_fails);
///
/// push_bytes(&repository, MediaType::OCTET_STREAM, "one").await?;
/// let second = push_bytes(&repository, MediaType::OCTET_STREAM, "two").await;
/// assert_eq!(second.unwrap_err().kind(), ErrorKind::Unavailable);
/// push_bytes(&repository, MediaType::OCTET_STREAM, "two").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Inject<T>(Intercepted<T, InjectOptions>);

impl<T> Inject<T> {
    /// Wraps `inner`, a backend or a registry.
    pub fn new(inner: T, options: InjectOptions) -> Self {
        Self(Intercepted::new(inner, options))
    }
}

forward_to_intercepted!(Inject);

type Rule<T> = Arc<dyn Fn(&Operation) -> Option<T> + Send + Sync>;

/// What [`Inject`] does. By default nothing.
///
/// Clones share their counts of calls.
#[non_exhaustive]
#[derive(Clone, Default)]
pub struct InjectOptions {
    /// How long each call waits before it begins. By default it does not wait.
    pub latency: Duration,
    errors: Vec<Rule<Error>>,
    cuts: Vec<Rule<u64>>,
}

impl InjectOptions {
    /// Sets [`latency`](Self::latency). A listing waits once, before its first item.
    #[must_use]
    pub fn with_latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Makes each call fail for which `rule` returns an error. The inner backend is not called. If there are several
    /// rules, the first error counts; rules that follow it are not asked.
    ///
    /// ```
    /// use tranship::layers::{InjectOptions, OperationName};
    /// use tranship::{Error, ErrorKind};
    ///
    /// let read_only = InjectOptions::default().with_errors(|operation| {
    ///     let refused = !operation.name.is_read();
    ///     refused.then(|| Error::new(ErrorKind::Denied, "not today"))
    /// });
    /// # let _ = read_only;
    /// ```
    #[must_use]
    pub fn with_errors(
        mut self,
        rule: impl Fn(&Operation) -> Option<Error> + Send + Sync + 'static,
    ) -> Self {
        self.errors.push(Arc::new(rule));
        self
    }

    /// Makes the `n`th call of `operation` fail with an error of the kind `kind`. The first call is number 1.
    #[must_use]
    pub fn with_failing_call(self, operation: OperationName, n: u64, kind: ErrorKind) -> Self {
        let calls = AtomicU64::new(0);
        self.with_errors(move |called| {
            if called.name != operation {
                return None;
            }
            let call = calls.fetch_add(1, Ordering::Relaxed) + 1;
            (call == n).then(|| injected(kind))
        })
    }

    /// Makes calls fail at random, each with the probability `rate`, which is between 0 and 1, with an error of the
    /// kind `kind`. The same `seed` makes the same calls fail, counted in the order in which they begin.
    #[must_use]
    pub fn with_failure_rate(self, rate: f64, seed: u64, kind: ErrorKind) -> Self {
        let calls = AtomicU64::new(0);
        self.with_errors(move |_| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            (fraction(seed, call) < rate).then(|| injected(kind))
        })
    }

    /// Ends content with an error of the kind [`Unavailable`](ErrorKind::Unavailable) after as many bytes as `rule`
    /// returns; `None` leaves it whole, as does a number that is not less than the length of the content. Only calls
    /// that open content are asked about. If there are several rules, the first number counts.
    ///
    /// ```
    /// use tranship::ContentKind;
    /// use tranship::layers::InjectOptions;
    ///
    /// let blobs_break = InjectOptions::default()
    ///     .with_cuts(|operation| (operation.kind == Some(ContentKind::Blob)).then_some(1000));
    /// # let _ = blobs_break;
    /// ```
    #[must_use]
    pub fn with_cuts(
        mut self,
        rule: impl Fn(&Operation) -> Option<u64> + Send + Sync + 'static,
    ) -> Self {
        self.cuts.push(Arc::new(rule));
        self
    }
}

impl fmt::Debug for InjectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InjectOptions")
            .field("latency", &self.latency)
            .field("errors", &self.errors.len())
            .field("cuts", &self.cuts.len())
            .finish()
    }
}

fn injected(kind: ErrorKind) -> Error {
    Error::new(kind, format!("{kind} (injected by a test)"))
}

/// Returns number `n` of a sequence of numbers from 0 up to 1 (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).
fn fraction(seed: u64, n: u64) -> f64 {
    let mut bits = seed.wrapping_add((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    // The 53 bits that an f64 holds.
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

impl Interceptor for InjectOptions {
    type Call = Injected;

    async fn begin(&self, operation: Operation) -> Result<Injected> {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        if let Some(error) = self.errors.iter().find_map(|rule| rule(&operation)) {
            return Err(error);
        }
        let opens = matches!(
            operation.name,
            OperationName::Read | OperationName::ReadRange | OperationName::ReadReference
        );
        let cut = if opens {
            self.cuts.iter().find_map(|rule| rule(&operation))
        } else {
            None
        };
        Ok(Injected { cut })
    }
}

/// A call, and after how many bytes its content ends.
pub(super) struct Injected {
    cut: Option<u64>,
}

impl InterceptedCall for Injected {
    fn open(self, body: Body, length: u64) -> Body {
        match self.cut {
            // Without the local file that the body may have, which a reader would take instead.
            Some(cut) if cut < length => Body::from_stream(cut_after(body.into_stream(), cut)),
            _ => body,
        }
    }

    fn succeed(self, _: u64) {}

    fn fail(self, error: Error) -> Error {
        error
    }
}

/// Returns the first `left` bytes of `content`, and an error.
fn cut_after(
    content: ByteStream,
    left: u64,
) -> impl futures_core::Stream<Item = Result<Bytes>> + Send {
    stream::unfold(Some((content, left)), async |state| {
        let (mut content, left) = state?;
        if left == 0 {
            return Some((Err(injected(ErrorKind::Unavailable)), None));
        }
        let mut chunk = match content.next().await? {
            Ok(chunk) => chunk,
            Err(error) => return Some((Err(error), None)),
        };
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - chunk.len() as u64;
        Some((Ok(chunk), Some((content, left))))
    })
}
