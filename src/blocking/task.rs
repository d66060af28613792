//! Single pieces of work on blocking threads.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind, Result};

/// Up to this size, in bytes, content is hashed or decoded sooner than it is handed to another thread.
pub(crate) const SMALL: usize = 64 * 1024;

/// Runs `work`, which may block, and waits for it.
///
/// If the future is dropped, work that has begun is completed.
///
/// # Errors
/// The error of `work`, or [`Io`](ErrorKind::Io) if it panics or the runtime ends.
pub async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    start(work).await
}

/// Runs `work` on content of `bytes` bytes: in place if they are few, as [`run`] otherwise.
///
/// # Errors
/// As [`run`].
pub async fn run_sized<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if bytes <= SMALL {
        return in_place(work);
    }
    run(work).await
}

/// Starts `work` on a blocking thread. Outside a tokio runtime the calling thread does it first.
pub fn start<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Task<T> {
    let outcome = Arc::new(Mutex::new(None));
    let Ok(runtime) = Handle::try_current() else {
        *lock(&outcome) = Some(in_place(work));
        return Task {
            running: None,
            outcome,
        };
    };
    // The task has one type for all callers. A task of tokio for each of them, about a hundred, would be a large part
    // of the generated code.
    let slot = Arc::clone(&outcome);
    let work: Box<dyn FnOnce() + Send> = Box::new(move || {
        let done = work();
        *lock(&slot) = Some(done);
    });
    Task {
        running: Some(runtime.spawn_blocking(work)),
        outcome,
    }
}

/// Work that was started. As a future it returns what the work returns, or an error of kind
/// [`Io`](ErrorKind::Io) if the work panics or the runtime ends.
///
/// If this is dropped, work that has begun is completed.
#[must_use = "the outcome of the work is lost if it is not awaited"]
pub struct Task<T> {
    running: Option<JoinHandle<()>>,
    outcome: Arc<Mutex<Option<Result<T>>>>,
}

impl<T> Future for Task<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        if let Some(running) = &mut self.running {
            let ended = ready!(Pin::new(running).poll(context));
            self.running = None;
            if let Err(error) = ended {
                return Poll::Ready(Err(interrupted(error)));
            }
        }
        let outcome = lock(&self.outcome).take();
        Poll::Ready(outcome.unwrap_or_else(|| Err(has_ended())))
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}

/// Runs `work` on the calling thread. A panic becomes an error, as on any other thread.
pub(super) fn in_place<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    done.unwrap_or_else(|_| Err(Error::new(ErrorKind::Io, "the work panicked")))
}

pub(super) fn interrupted(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Io, "work on another thread was interrupted").with_source(error)
}

pub(super) fn has_ended() -> Error {
    Error::new(ErrorKind::Io, "the work has ended before")
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_panics_is_an_error() {
        let panics = || -> Result<()> { panic!("on purpose") };
        for outcome in [run(panics).await, run_sized(1, panics).await] {
            assert_eq!(outcome.expect_err("a panic").kind(), ErrorKind::Io);
        }
    }

    #[tokio::test]
    async fn work_runs_beside_the_task_that_starts_it() {
        let (go, wait) = std::sync::mpsc::channel();
        let task = start(move || wait.recv().map_err(interrupted));
        go.send(7).expect("the work waits");
        assert_eq!(task.await.expect("done"), 7);
    }

    #[test]
    fn outside_a_runtime_the_calling_thread_does_the_work() {
        use futures_util::FutureExt as _;

        let thread = std::thread::current().id();
        let done = run(move || Ok(std::thread::current().id())).now_or_never();
        assert_eq!(done.expect("done").expect("no error"), thread);
    }
}
