//! Work on blocking threads.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;
#[cfg(feature = "object-store")]
use tokio::task::JoinHandle;
use tokio::task::spawn_blocking;
use tranship::{Error, ErrorKind, Result};

/// Runs `work`, which may block, and waits for it. If the future is dropped, work that has begun is completed.
///
/// # Errors
/// The error of `work`, or [`Io`](ErrorKind::Io) if it panics or the runtime ends.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    // The task has one type for all callers. A task of tokio for each of them, about sixty, would be a sixth of the
    // code of this crate.
    let outcome = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&outcome);
    let work: Work = Box::new(move || *lock(&slot) = Some(work()));
    if let Err(error) = spawn_blocking(work).await {
        return Err(cut_short(error));
    }
    lock(&outcome).take().unwrap_or_else(|| Err(has_ended()))
}

/// Waits for work on a blocking thread.
#[cfg(feature = "object-store")]
pub(crate) async fn join<T>(handle: JoinHandle<Result<T>>) -> Result<T> {
    handle.await.unwrap_or_else(|error| Err(cut_short(error)))
}

fn cut_short(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Io, "the work on the file system was cut short").with_source(error)
}

/// How many steps of a chain have not ended when the next one is accepted. With one of them waiting, the
/// thread that works has the next at hand, and nobody has to be woken between.
const STEPS: usize = 2;

/// Something that a blocking thread changes step by step. When this is dropped, the thread that has it
/// ends its step and drops it.
pub(crate) struct Chain<T> {
    thread: Arc<Lanes>,
    /// Empty while a step is under way, and for good after one that failed.
    value: Arc<Mutex<Option<T>>>,
    steps: VecDeque<Answer<()>>,
}

impl<T: Send + 'static> Chain<T> {
    pub(crate) fn new(value: T) -> Self {
        let mut chain = Self::ended();
        chain.value = Arc::new(Mutex::new(Some(value)));
        chain
    }

    pub(crate) fn start(work: impl FnOnce() -> Result<T> + Send + 'static) -> Self {
        let mut chain = Self::ended();
        chain.add(move |_| work());
        chain
    }

    /// One that has nothing, and never will.
    pub(crate) fn ended() -> Self {
        Self {
            thread: Arc::new(Lanes::new(1)),
            value: Arc::default(),
            steps: VecDeque::new(),
        }
    }

    /// Adds a step, when few enough are to be done. An error is that of a step before.
    pub(crate) async fn then(
        &mut self,
        work: impl FnOnce(T) -> Result<T> + Send + 'static,
    ) -> Result<()> {
        while self.steps.len() >= STEPS
            && let Some(step) = self.steps.pop_front()
        {
            step.await?;
        }
        self.add(move |value| work(value.ok_or_else(has_ended)?));
        Ok(())
    }

    /// What the last step has left. After an error, or this, there is nothing any more.
    pub(crate) async fn finish(&mut self) -> Result<T> {
        let mut chain = std::mem::replace(self, Self::ended());
        while let Some(step) = chain.steps.pop_front() {
            step.await?;
        }
        let value = lock(&chain.value).take();
        value.ok_or_else(has_ended)
    }

    fn add(&mut self, work: impl FnOnce(Option<T>) -> Result<T> + Send + 'static) {
        // Not kept alive by steps that nobody waits for.
        let value = Arc::downgrade(&self.value);
        self.steps.push_back(self.thread.add(1, move || {
            let value = value.upgrade().ok_or_else(has_ended)?;
            let before = lock(&value).take();
            let after = work(before)?;
            *lock(&value) = Some(after);
            Ok(())
        }));
    }
}

fn has_ended() -> Error {
    Error::new(ErrorKind::Io, "the work has ended before")
}

/// Blocking threads for work that is short and comes in numbers, one for each core.
///
/// A thread that has done one piece takes the next that waits, so that a stream of them costs few
/// wake-ups. With a thread for each piece, those cost more than the work.
pub(crate) struct Lanes {
    width: usize,
    /// By the runtime whose threads work it off: one that ends takes nothing of another's with it. There while
    /// a thread works.
    queues: Mutex<HashMap<runtime::Id, Queue>>,
}

/// How many pieces wait for a thread that has enough to do.
const ENOUGH: usize = 4;

type Work = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    running: usize,
}

impl Lanes {
    fn new(width: usize) -> Self {
        Self {
            width,
            queues: Mutex::default(),
        }
    }

    /// Runs `work` and waits for it. If the future is dropped, the work is done all the same.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.add(self.width, work).await
    }

    /// As [`run`](Self::run), for work that the calling thread may do as well. It does so when the others
    /// have enough: then nobody ever waits for anybody.
    pub(crate) async fn share<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let others = self.width.saturating_sub(1).max(1);
        let have_enough = {
            let queues = self.lock();
            let queue = queues.get(&Handle::current().id());
            queue.is_some_and(|queue| {
                queue.running >= others && queue.waiting.len() >= ENOUGH * others
            })
        };
        match have_enough {
            true => work(),
            false => self.add(others, work).await,
        }
    }

    fn add<T: Send + 'static>(
        self: &Arc<Self>,
        width: usize,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Answer<T> {
        let (answer, answered) = oneshot::channel();
        let runtime = Handle::current();
        let is_free = {
            let mut queues = self.lock();
            let queue = queues.entry(runtime.id()).or_default();
            queue.waiting.push_back(Box::new(move || {
                let _ = answer.send(work());
            }));
            let is_free = queue.running < width;
            queue.running += usize::from(is_free);
            is_free
        };
        if is_free {
            let lane = Lane {
                lanes: Arc::clone(self),
                runtime: runtime.id(),
                ended: false,
            };
            runtime.spawn_blocking(move || lane.work_off());
        }
        Answer(answered)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<runtime::Id, Queue>> {
        lock(&self.queues)
    }
}

/// What comes of a piece of work. If this is dropped, the work is done all the same.
struct Answer<T>(oneshot::Receiver<Result<T>>);

impl<T> Future for Answer<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let answered = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(answered.unwrap_or_else(|error| Err(cut_short(error))))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes").finish_non_exhaustive()
    }
}

impl Default for Lanes {
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().map_or(2, std::num::NonZero::get))
    }
}

/// One thread at work. If it is dropped before its end, because its runtime ended before it began,
/// those who wait for it are told.
struct Lane {
    lanes: Arc<Lanes>,
    runtime: runtime::Id,
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
    fn next(&mut self) -> Option<Work> {
        let mut queues = self.lanes.lock();
        let work = queues.get_mut(&self.runtime)?.waiting.pop_front();
        if work.is_none() {
            leave(&mut queues, self.runtime);
            self.ended = true;
        }
        work
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if !self.ended {
            let abandoned = leave(&mut self.lanes.lock(), self.runtime);
            drop(abandoned);
        }
    }
}

/// Counts one thread less. The last one takes the queue with it.
fn leave(queues: &mut HashMap<runtime::Id, Queue>, runtime: runtime::Id) -> Option<Queue> {
    let queue = queues.get_mut(&runtime)?;
    queue.running -= 1;
    match queue.running {
        0 => queues.remove(&runtime),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[tokio::test]
    async fn the_steps_of_a_chain_are_made_in_their_order() {
        let mut chain = Chain::start(|| Ok(Vec::new()));
        for number in 0..100 {
            let push = move |mut numbers: Vec<_>| {
                numbers.push(number);
                Ok(numbers)
            };
            chain.then(push).await.expect("no step fails");
        }
        let numbers = chain.finish().await.expect("no step fails");
        assert!(numbers.into_iter().eq(0..100));
        assert!(chain.finish().await.is_err());
    }

    /// A step that notes that it was begun.
    fn noted(begun: &Arc<AtomicBool>) -> impl FnOnce(()) -> Result<()> + Send + 'static + use<> {
        let begun = Arc::clone(begun);
        move |()| {
            begun.store(true, Ordering::SeqCst);
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_step_that_fails_is_the_last_one() {
        let begun = Arc::default();
        let mut chain = Chain::new(());
        let failing = |()| Err(Error::new(ErrorKind::Corrupt, "on purpose"));
        chain.then(failing).await.expect("accepted");
        chain.then(noted(&begun)).await.expect("accepted");
        let error = chain.then(noted(&begun)).await.expect_err("one has failed");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(chain.finish().await.is_err());
        assert!(!begun.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_chain_that_is_dropped_begins_no_other_step() {
        let begun = Arc::default();
        let (go, wait) = std::sync::mpsc::channel();
        let thread = {
            let mut chain = Chain::start(move || wait.recv().map_err(|_| has_ended()));
            chain.then(noted(&begun)).await.expect("accepted");
            Arc::clone(&chain.thread)
        };
        go.send(()).expect("the first step waits");
        thread.add(1, || Ok(())).await.expect("they are over");
        assert!(!begun.load(Ordering::SeqCst));
    }

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
            let (go, wait) = std::sync::mpsc::channel::<()>();
            runtime.block_on(async {
                use futures_util::FutureExt as _;
                let abandoned = lanes.run(move || wait.recv().map_err(|_| has_ended()));
                assert!(abandoned.now_or_never().is_none());
                assert!(lanes.run(|| Ok(())).now_or_never().is_none());
            });
            runtime.shutdown_background();
            drop(go);
        }
    }
}
