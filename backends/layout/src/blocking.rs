//! Work on blocking threads.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tranship::{Error, ErrorKind, Result};

/// Runs `work`, which may block, and waits for it. If the future is dropped, work that has begun
/// goes on to its end.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    join(spawn_blocking(work)).await
}

/// Waits for work on a blocking thread.
pub(crate) async fn join<T>(handle: JoinHandle<Result<T>>) -> Result<T> {
    handle.await.unwrap_or_else(|error| Err(cut_short(error)))
}

fn cut_short(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Io, "the work on the file system was cut short").with_source(error)
}

/// Something that blocking threads change step by step, one at a time. When this is dropped, the
/// thread that has it ends its step and drops it.
pub(crate) enum Chain<T> {
    Ready(T),
    Running(JoinHandle<Result<T>>),
    Ended,
}

impl<T: Send + 'static> Chain<T> {
    pub(crate) fn start(work: impl FnOnce() -> Result<T> + Send + 'static) -> Self {
        Self::Running(spawn_blocking(work))
    }

    /// Waits for the step before, and begins another one.
    pub(crate) async fn then(
        &mut self,
        work: impl FnOnce(T) -> Result<T> + Send + 'static,
    ) -> Result<()> {
        let value = self.finish().await?;
        *self = Self::start(move || work(value));
        Ok(())
    }

    /// What the last step has left. After an error, or this, there is nothing any more.
    pub(crate) async fn finish(&mut self) -> Result<T> {
        match std::mem::replace(self, Self::Ended) {
            Self::Ready(value) => Ok(value),
            Self::Running(step) => join(step).await,
            Self::Ended => Err(Error::new(ErrorKind::Io, "the work has ended before")),
        }
    }
}

/// Blocking threads for work that is short and comes in numbers, one for each core.
///
/// A thread that has done one piece takes the next that waits, so that a stream of them costs few
/// wake-ups. With a thread for each piece, those cost more than the work.
pub(crate) struct Lanes {
    width: usize,
    state: Mutex<State>,
}

/// How many pieces wait for a thread that has enough to do.
const ENOUGH: usize = 4;

#[derive(Default)]
struct State {
    waiting: VecDeque<Box<dyn FnOnce() + Send>>,
    running: usize,
}

impl Lanes {
    /// Runs `work` and waits for it. If the future is dropped, the work is done all the same.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.run_on(self.width, work).await
    }

    /// As [`run`](Self::run), for work that the calling thread may do as well. It does so when the others
    /// have enough: then nobody ever waits for anybody.
    pub(crate) async fn share<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let others = self.width.saturating_sub(1).max(1);
        let have_enough = {
            let state = self.lock();
            state.running >= others && state.waiting.len() >= ENOUGH * others
        };
        match have_enough {
            true => work(),
            false => self.run_on(others, work).await,
        }
    }

    /// Whether a thread is at work, so that one more piece wakes nobody up.
    pub(crate) fn are_busy(&self) -> bool {
        self.lock().running > 0
    }

    async fn run_on<T: Send + 'static>(
        self: &Arc<Self>,
        width: usize,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let lane = {
            let mut state = self.lock();
            state.waiting.push_back(Box::new(move || {
                let _ = answer.send(work());
            }));
            let is_free = state.running < width;
            is_free.then(|| {
                state.running += 1;
                let lanes = Arc::clone(self);
                Lane {
                    lanes,
                    ended: false,
                }
            })
        };
        if let Some(lane) = lane {
            spawn_blocking(move || lane.work_off());
        }
        answered.await.unwrap_or_else(|error| Err(cut_short(error)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes").finish_non_exhaustive()
    }
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            width: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            state: Mutex::default(),
        }
    }
}

/// One thread at work. If it is dropped before its end, because its runtime ended before it began,
/// those who wait for it are told.
struct Lane {
    lanes: Arc<Lanes>,
    ended: bool,
}

impl Lane {
    fn work_off(mut self) {
        while let Some(work) = self.next() {
            // Whoever waits for it sees that no answer comes.
            let _ = catch_unwind(AssertUnwindSafe(work));
        }
    }

    /// The next piece of work. If there is none this is the end, before anybody can add one.
    fn next(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        let mut state = self.lanes.lock();
        let work = state.waiting.pop_front();
        if work.is_none() {
            state.running -= 1;
            self.ended = true;
        }
        work
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let abandoned = {
            let mut state = self.lanes.lock();
            state.running -= 1;
            (state.running == 0).then(|| std::mem::take(&mut state.waiting))
        };
        drop(abandoned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_panics_fails_and_does_not_stop_the_rest() {
        let lanes = Arc::new(Lanes::default());
        let error = lanes
            .run(|| -> Result<()> { panic!("on purpose") })
            .await
            .expect_err("no answer");
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_eq!(lanes.run(|| Ok(1)).await.expect("done"), 1);
    }

    #[test]
    fn a_runtime_that_ends_leaves_no_lane_behind() {
        let lanes = Arc::new(Lanes::default());
        for _ in 0..100 {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .max_blocking_threads(1)
                .build()
                .expect("a runtime");
            let done = runtime.block_on(async {
                let first = lanes.run(|| Ok(1));
                let (first, second) = futures_util::future::join(first, lanes.run(|| Ok(2))).await;
                (first.ok(), second.ok())
            });
            assert_eq!(done, (Some(1), Some(2)));
            runtime.block_on(async {
                use futures_util::FutureExt as _;
                let abandoned = lanes.run(|| {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                    Ok(())
                });
                assert!(abandoned.now_or_never().is_none());
            });
            runtime.shutdown_background();
        }
    }
}
