//! Bounds how many calls run at a time, how many begin in a second, and how many bytes are stored.

use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Interval, MissedTickBehavior};

use super::Operation;
use super::intercept::{Intercepted, InterceptedCall, Interceptor, forward_to_intercepted};
use super::quota::{Metered, Usage};
use crate::*;

/// A repository or registry with limits. The repositories of a registry share its limits.
///
/// Calls that are over [`concurrency`](LimitOptions::concurrency) or [`rate`](LimitOptions::rate) wait, in the order
/// in which they were made. Pushes that are over the [`quota`](LimitOptions::quota) fail with
/// [`StorageFull`](ErrorKind::StorageFull). Methods that return at once, such as [`Backend::info`], and
/// [`Registry::repository`] are not limited.
///
/// Dropping a future or a listing releases what it holds of the limits.
///
/// ```
/// use tranship::layers::{Limit, LimitOptions};
/// use tranship::prelude::*;
/// use tranship::{ErrorKind, MediaType, push_bytes};
/// # use tranship_memory::MemoryRepository;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let options = LimitOptions::default().with_quota(5);
/// let repository = Limit::new(MemoryRepository::new(), options);
///
/// push_bytes(&repository, MediaType::OCTET_STREAM, "hello").await?;
/// assert_eq!(repository.used(), 5);
/// let full = push_bytes(&repository, MediaType::OCTET_STREAM, "world").await;
/// assert_eq!(full.unwrap_err().kind(), ErrorKind::StorageFull);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Limit<T>(Intercepted<Metered<T>, Flow>, Arc<Usage>);

impl<T> Limit<T> {
    /// Wraps `inner`, a backend or a registry.
    pub fn new(inner: T, options: LimitOptions) -> Self {
        let usage = Arc::new(Usage::new(options.quota, options.used));
        let inner = Metered::new(inner, usage.clone());
        Self(Intercepted::new(inner, Flow::new(&options)), usage)
    }

    /// Returns how many bytes count against the [`quota`](LimitOptions::quota), those of pushes in progress
    /// included. They are counted without a quota, too.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.1.used()
    }
}

forward_to_intercepted!(Limit);

/// What [`Limit`] allows. By default everything.
///
/// ```
/// use std::num::NonZero;
/// use tranship::layers::LimitOptions;
///
/// let options = LimitOptions::default()
///     .with_concurrency(NonZero::new(8).unwrap())
///     .with_rate(NonZero::new(50).unwrap())
///     .with_quota(10 << 30)
///     .with_used(3 << 30);
/// assert_eq!(options.quota, Some(10 << 30));
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitOptions {
    /// How many calls that read run at a time, and how many that write: the two are counted separately. `None`, the
    /// default, for any number.
    ///
    /// With one count for both, a push whose source is read through the same layer could wait for itself. For the
    /// same reason, do not hold content open while you wait for other content of the same layer.
    ///
    /// Content counts as being read until it has been read to its end, or is dropped. A listing counts while its next
    /// item is awaited, so that a program can make calls about each item.
    pub concurrency: Option<NonZero<usize>>,
    /// How many calls begin in a second, at equal intervals. A listing is one call. `None`, the default, for any
    /// number.
    ///
    /// Waiting needs a tokio runtime with its timer, which has a resolution of a millisecond: with more than 1000
    /// calls in a second, calls that wait are slower than that.
    pub rate: Option<NonZero<u32>>,
    /// How many bytes may be stored, in all repositories together. `None`, the default, for any number.
    ///
    /// What is counted is what passes through this layer: the size of content whose push returns
    /// [`PushOutcome::Pushed`] is added, and that of content that is removed is subtracted. Content that is present
    /// or mounted adds nothing. An upload in pieces counts with the bytes that have arrived while it is open here,
    /// and with the size of its blob when it is committed. A store that keeps content of several repositories once
    /// uses less than is counted.
    ///
    /// The size of a push is reserved before anything is read of its source, and released if the push fails or is
    /// dropped. Content that is already stored can be pushed to a full registry.
    pub quota: Option<u64>,
    /// How many bytes are stored at the start. 0 by default.
    pub used: u64,
}

impl LimitOptions {
    /// Sets [`concurrency`](Self::concurrency).
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: NonZero<usize>) -> Self {
        self.concurrency = Some(concurrency);
        self
    }

    /// Sets [`rate`](Self::rate).
    #[must_use]
    pub fn with_rate(mut self, per_second: NonZero<u32>) -> Self {
        self.rate = Some(per_second);
        self
    }

    /// Sets [`quota`](Self::quota).
    #[must_use]
    pub fn with_quota(mut self, bytes: u64) -> Self {
        self.quota = Some(bytes);
        self
    }

    /// Sets [`used`](Self::used).
    #[must_use]
    pub fn with_used(mut self, bytes: u64) -> Self {
        self.used = bytes;
        self
    }
}

/// The limits that calls wait for.
#[derive(Debug)]
struct Flow {
    reads: Option<Arc<Semaphore>>,
    writes: Option<Arc<Semaphore>>,
    /// Set by the first call, since a timer needs a running runtime.
    ticks: Option<(Duration, AsyncMutex<Option<Interval>>)>,
}

impl Flow {
    fn new(options: &LimitOptions) -> Self {
        let semaphore = || {
            let permits = options.concurrency?.get().min(Semaphore::MAX_PERMITS);
            Some(Arc::new(Semaphore::new(permits)))
        };
        let ticks = options.rate.map(|rate| {
            let period = Duration::from_secs(1) / rate.get();
            (period.max(Duration::from_nanos(1)), AsyncMutex::new(None))
        });
        Self {
            reads: semaphore(),
            writes: semaphore(),
            ticks,
        }
    }
}

impl Interceptor for Flow {
    type Call = Limited;

    async fn begin(&self, operation: Operation) -> Result<Limited> {
        if let Some((period, ticks)) = &self.ticks {
            // Held while waiting, so that the mutex is the queue of the calls.
            let mut ticks = ticks.lock().await;
            let interval = ticks.get_or_insert_with(|| {
                let mut interval = tokio::time::interval(*period);
                interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
                interval
            });
            interval.tick().await;
        }
        let semaphore = if operation.name.is_read() {
            &self.reads
        } else {
            &self.writes
        };
        Ok(Limited {
            semaphore: semaphore.clone(),
            permit: None,
        })
    }
}

/// A call, with a permit while it runs.
struct Limited {
    semaphore: Option<Arc<Semaphore>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl InterceptedCall for Limited {
    async fn run<F: Future<Output: Send> + Send>(&mut self, inner: F) -> F::Output {
        if let Some(semaphore) = &self.semaphore
            && self.permit.is_none()
        {
            // This fails only for a semaphore that was closed, which this one never is.
            self.permit = Arc::clone(semaphore).acquire_owned().await.ok();
        }
        inner.await
    }

    fn pause(&mut self) {
        self.permit = None;
    }

    fn open(self, body: Body, length: u64) -> Body {
        match self.permit {
            Some(permit) if length > 0 => hold(permit, body, length),
            _ => body,
        }
    }

    fn succeed(self, _: u64) {}

    fn fail(self, error: Error) -> Error {
        error
    }
}

/// Keeps `permit` until `length` bytes of `body` have been read, or it is dropped.
fn hold(permit: OwnedSemaphorePermit, body: Body, length: u64) -> Body {
    let held = Mutex::new((Some(permit), length));
    // An observer, unlike a stream around the stream, leaves the body the local file that it may be.
    body.inspect(move |bytes| {
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        held.1 = held.1.saturating_sub(bytes);
        if held.1 == 0 {
            held.0 = None;
        }
    })
}
