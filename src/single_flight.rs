//! Work that several callers request at the same time, and that is done once.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use crate::error::{Error, Result};

type Work<T> = BoxFuture<'static, Result<T, Arc<Error>>>;

/// The work in progress, by key: callers with the same key wait for one piece of work. Each of them polls it, so it ends
/// when the last caller is dropped, and does not depend on the first one. The result of finished work is not kept.
///
/// ```
/// use tranship::SingleFlight;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let lookups = SingleFlight::default();
/// let one = lookups.join("key", || async { Ok(1) });
/// let two = lookups.join("key", || async { Ok(2) });
/// let (one, two) = futures_util::future::join(one, two).await;
/// assert_eq!((one?, two?), (1, 2));
/// # Ok(())
/// # }
/// ```
pub struct SingleFlight<K, T: Clone> {
    running: Mutex<HashMap<K, WeakShared<Work<T>>>>,
}

impl<K, T: Clone> Default for SingleFlight<K, T> {
    fn default() -> Self {
        Self {
            running: Mutex::default(),
        }
    }
}

impl<K: Eq + Hash, T: Clone> SingleFlight<K, T> {
    /// Returns the result of the work for `key`. `start` starts it if it is not in progress.
    ///
    /// Cancel safe: the work continues as long as a caller waits for it.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn join<F>(&self, key: K, start: impl FnOnce() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.find_or_start(key, start).await.map_err(unshare)
    }

    /// Makes the next caller with `key` start other work. Callers that wait are not affected.
    pub fn forget(&self, key: &K) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, WeakShared<Work<T>>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find_or_start<F>(&self, key: K, start: impl FnOnce() -> F) -> Shared<Work<T>>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let mut running = self.lock();
        let unfinished =
            |work: &WeakShared<Work<T>>| work.upgrade().filter(|work| work.peek().is_none());
        if let Some(work) = running.get(&key).and_then(unfinished) {
            return work;
        }
        running.retain(|_, work| unfinished(work).is_some());
        let future = start();
        let work = async move { future.await.map_err(Arc::new) }
            .boxed()
            .shared();
        running.extend(work.downgrade().map(|weak| (key, weak)));
        work
    }
}

/// Returns the error itself for its only caller, and otherwise an equal one.
fn unshare(error: Arc<Error>) -> Error {
    Arc::try_unwrap(error).unwrap_or_else(|error| {
        let copy = error.without_source();
        match error.source() {
            Some(_) => copy.with_source(SharedCause(error)),
            None => copy,
        }
    })
}

impl<K, T: Clone> fmt::Debug for SingleFlight<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight").finish_non_exhaustive()
    }
}

/// The cause of an error that several callers hold.
#[derive(Debug)]
struct SharedCause(Arc<Error>);

impl fmt::Display for SharedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.source() {
            Some(cause) => fmt::Display::fmt(cause, f),
            None => Ok(()),
        }
    }
}

impl StdError for SharedCause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source().and_then(StdError::source)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::ErrorKind;
    use futures_util::future::{join, join_all};
    use tokio::sync::Semaphore;

    /// Counts how many times it is started, and waits until it is released.
    struct Slow {
        begun: Arc<AtomicUsize>,
        gate: Arc<Semaphore>,
    }

    impl Slow {
        fn new() -> Self {
            Self {
                begun: Arc::default(),
                gate: Arc::new(Semaphore::new(0)),
            }
        }

        /// Releases the work when all other tasks wait.
        async fn open(&self) {
            tokio::task::yield_now().await;
            self.gate.add_permits(1);
        }

        fn work(&self, result: fn() -> Result<u8>) -> impl Future<Output = Result<u8>> + use<> {
            let (begun, gate) = (self.begun.clone(), self.gate.clone());
            async move {
                begun.fetch_add(1, Ordering::Relaxed);
                let _open = gate.acquire().await.expect("an open gate");
                result()
            }
        }
    }

    #[tokio::test]
    async fn callers_at_the_same_time_share_the_work() {
        let flights = SingleFlight::default();
        let slow = Slow::new();
        let all = join_all((0..10).map(|n| {
            let work = || slow.work(|| Ok(7));
            flights.join(n % 2, work)
        }));
        let (results, ()) = tokio::join!(all, slow.open());
        assert!(results.iter().all(|result| matches!(result, Ok(7))));
        assert_eq!(slow.begun.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_failure_reaches_all_who_wait_and_is_not_kept() {
        let flights = SingleFlight::default();
        let slow = Slow::new();
        let fail = || {
            Err(Error::new(ErrorKind::RateLimited, "slow down")
                .with_hint("wait")
                .with_source(Error::new(ErrorKind::Io, "the cause")))
        };
        let all = join_all((0..3).map(|_| flights.join((), || slow.work(fail))));
        let (results, ()) = tokio::join!(all, slow.open());
        for result in results {
            let error = result.expect_err("the failure");
            assert_eq!(error.kind(), ErrorKind::RateLimited);
            assert_eq!(error.to_string(), "slow down");
            assert_eq!(error.hint(), Some("wait"));
            assert_eq!(error.source().expect("a cause").to_string(), "the cause");
        }
        assert_eq!(slow.begun.load(Ordering::Relaxed), 1);
        let again = flights.join((), || slow.work(|| Ok(1))).await;
        assert_eq!(again.expect("success"), 1);
    }

    #[tokio::test]
    async fn who_waits_does_not_depend_on_who_began() {
        let flights = Arc::new(SingleFlight::default());
        let slow = Arc::new(Slow::new());
        let spawn = || {
            let (flights, slow) = (flights.clone(), slow.clone());
            tokio::spawn(async move { flights.join((), || slow.work(|| Ok(7))).await })
        };
        let leader = spawn();
        tokio::task::yield_now().await;
        let follower = spawn();
        tokio::task::yield_now().await;
        leader.abort();
        assert!(leader.await.expect_err("aborted").is_cancelled());
        slow.gate.add_permits(1);
        assert_eq!(follower.await.expect("joined").expect("success"), 7);
        assert_eq!(slow.begun.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_ends_and_can_begin_again() {
        let flights = SingleFlight::default();
        let slow = Slow::new();
        {
            let abandoned = flights.join((), || slow.work(|| Ok(7)));
            assert!(abandoned.now_or_never().is_none());
        }
        assert_eq!(Arc::strong_count(&slow.gate), 1);
        slow.gate.add_permits(1);
        let again = flights.join((), || slow.work(|| Ok(8))).await;
        assert_eq!(again.expect("success"), 8);
    }

    async fn lookup(result: Result<u32>) -> Result<u32> {
        tokio::task::yield_now().await;
        result
    }

    #[tokio::test]
    async fn every_caller_gets_the_error() {
        let lookups = SingleFlight::default();
        let fail = || lookup(Err(Error::not_found("v1")));
        let (one, two) = join(lookups.join("key", fail), lookups.join("key", fail)).await;
        for error in [one, two].map(|result| result.expect_err("not found")) {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert_eq!(error.subject(), Some("v1"));
        }
    }

    #[tokio::test]
    async fn forgotten_work_is_not_joined() {
        let lookups = SingleFlight::default();
        let one = lookups.join("key", || lookup(Ok(1)));
        let two = async {
            lookups.forget(&"key");
            lookups.join("key", || lookup(Ok(2))).await
        };
        let (one, two) = join(one, two).await;
        assert_eq!((one.expect("found"), two.expect("found")), (1, 2));
    }
}
