//! A few blocking threads that share short pieces of work.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};

use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;

use super::task::{in_place, interrupted, lock};
use crate::error::Result;

/// Blocking threads for many short pieces of work, at most one for each core.
///
/// A thread that has finished a piece takes the next from the queue, so that a stream of them costs few
/// wake-ups. With a thread for each piece, those cost more than the work.
pub(super) struct Pool {
    width: usize,
    /// The queues of the runtimes whose threads do the work, so that a runtime that ends takes no work of
    /// another with it. A queue exists while a thread works.
    queues: Mutex<HashMap<runtime::Id, Queue>>,
}

/// How many pieces wait for each busy thread before the caller does its work itself.
const ENOUGH: usize = 4;

type Work = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    threads: usize,
}

impl Pool {
    pub(super) fn new(width: usize) -> Self {
        Self {
            width,
            queues: Mutex::default(),
        }
    }

    /// Runs `work` and waits for it. If the future is dropped, the work is done all the same.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.add(self.width, work).await
    }

    /// Runs `work` like [`run`](Self::run), or on the calling thread if the other threads have enough to do.
    /// In that case no thread waits for another.
    pub(super) async fn share<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let others = self.width.saturating_sub(1).max(1);
        let have_enough = Handle::try_current().is_ok_and(|runtime| {
            let queues = lock(&self.queues);
            let queue = queues.get(&runtime.id());
            queue.is_some_and(|queue| {
                queue.threads >= others && queue.waiting.len() >= ENOUGH * others
            })
        });
        if have_enough {
            in_place(work)
        } else {
            self.add(others, work).await
        }
    }

    /// Adds work for at most `width` threads. Outside a tokio runtime the calling thread does it first.
    pub(super) fn add<T: Send + 'static>(
        self: &Arc<Self>,
        width: usize,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Outcome<T> {
        let (sender, receiver) = oneshot::channel();
        let Ok(runtime) = Handle::try_current() else {
            let _ = sender.send(in_place(work));
            return Outcome(receiver);
        };
        let needs_thread = {
            let mut queues = lock(&self.queues);
            let queue = queues.entry(runtime.id()).or_default();
            queue.waiting.push_back(Box::new(move || {
                let _ = sender.send(work());
            }));
            let needs_thread = queue.threads < width;
            queue.threads += usize::from(needs_thread);
            needs_thread
        };
        if needs_thread {
            let thread = Thread {
                pool: Arc::clone(self),
                runtime: runtime.id(),
                has_left: false,
            };
            runtime.spawn_blocking(move || thread.run());
        }
        Outcome(receiver)
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().map_or(2, std::num::NonZero::get))
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

/// The outcome of a piece of work. If this is dropped, the work is done all the same.
pub(super) struct Outcome<T>(oneshot::Receiver<Result<T>>);

impl<T> Future for Outcome<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let received = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(received.unwrap_or_else(|error| Err(interrupted(error))))
    }
}

/// One thread at work. If its runtime ends before it has begun, dropping it fails the work that waits.
struct Thread {
    pool: Arc<Pool>,
    runtime: runtime::Id,
    has_left: bool,
}

impl Thread {
    fn run(mut self) {
        while let Some(work) = self.next() {
            // The waiter sees that no outcome comes.
            let _ = catch_unwind(AssertUnwindSafe(work));
        }
    }

    /// Returns the next piece of work. If there is none, the thread leaves the pool before another caller
    /// can add one.
    fn next(&mut self) -> Option<Work> {
        let mut queues = lock(&self.pool.queues);
        let work = queues.get_mut(&self.runtime)?.waiting.pop_front();
        if work.is_none() {
            leave(&mut queues, self.runtime);
            self.has_left = true;
        }
        work
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if !self.has_left {
            let abandoned = leave(&mut lock(&self.pool.queues), self.runtime);
            // Without the lock: the work may own another sequence.
            drop(abandoned);
        }
    }
}

/// Counts one thread less. The last one takes the queue with it.
fn leave(
    queues: &mut MutexGuard<'_, HashMap<runtime::Id, Queue>>,
    runtime: runtime::Id,
) -> Option<Queue> {
    let queue = queues.get_mut(&runtime)?;
    queue.threads -= 1;
    match queue.threads {
        0 => queues.remove(&runtime),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[tokio::test]
    async fn work_that_panics_fails_and_does_not_stop_the_rest() {
        let pool = Arc::new(Pool::default());
        let error = pool
            .run(|| -> Result<()> { panic!("on purpose") })
            .await
            .expect_err("a panic");
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_eq!(pool.run(|| Ok(1)).await.expect("done"), 1);
    }

    #[test]
    fn a_runtime_that_ends_leaves_no_thread_behind() {
        let pool = Arc::new(Pool::default());
        for _ in 0..100 {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .max_blocking_threads(1)
                .build()
                .expect("a runtime");
            let done = runtime.block_on(async {
                let first = pool.run(|| Ok(1));
                let (first, second) = futures_util::future::join(first, pool.run(|| Ok(2))).await;
                (first.ok(), second.ok())
            });
            assert_eq!(done, (Some(1), Some(2)));
            let (go, wait) = std::sync::mpsc::channel::<()>();
            runtime.block_on(async {
                use futures_util::FutureExt as _;
                let abandoned = pool.run(move || wait.recv().map_err(interrupted));
                assert!(abandoned.now_or_never().is_none());
                assert!(pool.run(|| Ok(())).now_or_never().is_none());
            });
            runtime.shutdown_background();
            drop(go);
        }
    }
}
