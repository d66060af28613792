//! Steps of blocking work that keep their order.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use super::pool::{Outcome, Pool};
use super::task::{has_ended, lock};
use crate::error::Result;

/// How many steps may be unfinished when the next one is accepted. With one of them waiting, the thread has its
/// next step without being woken.
const STEPS: usize = 2;

/// A value that blocking threads change step by step, in the order in which the steps are added.
///
/// When this is dropped, the step that has begun is completed, and no other one begins. All steps must be added in one
/// runtime, or all outside of one.
///
/// ```
/// use tranship::blocking::Sequence;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let mut text = Sequence::new(String::new());
/// for word in ["one ", "two ", "three"] {
///     text.then(move |text| Ok(text + word)).await?;
/// }
/// assert_eq!(text.finish().await?, "one two three");
/// # Ok(())
/// # }
/// ```
pub struct Sequence<T> {
    thread: Arc<Pool>,
    /// Empty while a step runs, and for good after one that failed.
    value: Arc<Mutex<Option<T>>>,
    steps: VecDeque<Outcome<()>>,
}

impl<T: Send + 'static> Sequence<T> {
    /// Returns a sequence that begins with `value`.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self {
            thread: Arc::new(Pool::new(1)),
            value: Arc::new(Mutex::new(Some(value))),
            steps: VecDeque::new(),
        }
    }

    /// Returns a sequence that begins with the value that `work` returns, as its first step, which begins at once.
    #[must_use]
    pub fn start(work: impl FnOnce() -> Result<T> + Send + 'static) -> Self {
        let mut sequence = Self {
            thread: Arc::new(Pool::new(1)),
            value: Arc::default(),
            steps: VecDeque::new(),
        };
        sequence.add(move |_| work());
        sequence
    }

    /// Adds a step as soon as few enough are unfinished.
    ///
    /// If the future is dropped, the step is not added; those before it are done all the same.
    ///
    /// # Errors
    /// The error of an earlier step, which is of kind [`Io`](crate::ErrorKind::Io) if it panicked. The value is gone
    /// then, and later calls fail with [`Io`](crate::ErrorKind::Io).
    pub async fn then(&mut self, work: impl FnOnce(T) -> Result<T> + Send + 'static) -> Result<()> {
        self.ready().await?;
        self.then_now(work);
        Ok(())
    }

    /// Waits until few enough steps are unfinished.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        while self.steps.len() >= STEPS {
            self.first().await?;
        }
        Ok(())
    }

    /// Waits for the first step. It stays if the future is dropped.
    async fn first(&mut self) -> Result<()> {
        if let Some(step) = self.steps.front_mut() {
            let outcome = step.await;
            self.steps.pop_front();
            outcome?;
        }
        Ok(())
    }

    /// Adds a step.
    pub(crate) fn then_now(&mut self, work: impl FnOnce(T) -> Result<T> + Send + 'static) {
        self.add(move |value| work(value.ok_or_else(has_ended)?));
    }

    /// Returns the value after all steps.
    ///
    /// If the future is dropped, no step begins any more.
    ///
    /// # Errors
    /// The error of a step.
    pub async fn finish(mut self) -> Result<T> {
        while !self.steps.is_empty() {
            self.first().await?;
        }
        let value = lock(&self.value).take();
        value.ok_or_else(has_ended)
    }

    fn add(&mut self, work: impl FnOnce(Option<T>) -> Result<T> + Send + 'static) {
        // A step does not keep the value of a dropped sequence.
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

impl<T> fmt::Debug for Sequence<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sequence")
            .field("unfinished", &self.steps.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use std::sync::atomic::{AtomicBool, Ordering};

    #[tokio::test]
    async fn steps_keep_their_order() {
        let mut sequence = Sequence::start(|| Ok(Vec::new()));
        for number in 0..100 {
            let push = move |mut numbers: Vec<_>| {
                numbers.push(number);
                Ok(numbers)
            };
            sequence.then(push).await.expect("no step fails");
        }
        let numbers = sequence.finish().await.expect("no step fails");
        assert!(numbers.into_iter().eq(0..100));
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
        let mut sequence = Sequence::new(());
        let failing = |()| Err(Error::new(ErrorKind::Corrupt, "on purpose"));
        sequence.then(failing).await.expect("accepted");
        sequence.then(noted(&begun)).await.expect("accepted");
        let error = sequence.then(noted(&begun)).await.expect_err("one failed");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(sequence.finish().await.is_err());
        assert!(!begun.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn an_error_is_kept_when_a_waiting_call_is_dropped() {
        use futures_util::FutureExt as _;

        let (go, wait) = std::sync::mpsc::channel::<()>();
        let mut sequence = Sequence::new(());
        let failing = move |()| {
            let _ = wait.recv();
            Err(Error::new(ErrorKind::Corrupt, "on purpose"))
        };
        sequence.then(failing).await.expect("accepted");
        sequence.then(Ok).await.expect("accepted");
        assert!(sequence.then(Ok).now_or_never().is_none());
        drop(go);
        let error = sequence.then(Ok).await.expect_err("one failed");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }

    #[tokio::test]
    async fn a_sequence_that_is_dropped_begins_no_other_step() {
        let begun = Arc::default();
        let (go, wait) = std::sync::mpsc::channel();
        let thread = {
            let mut sequence = Sequence::start(move || wait.recv().map_err(|_| has_ended()));
            sequence.then(noted(&begun)).await.expect("accepted");
            Arc::clone(&sequence.thread)
        };
        go.send(()).expect("the first step waits");
        thread.add(1, || Ok(())).await.expect("all are over");
        assert!(!begun.load(Ordering::SeqCst));
    }
}
