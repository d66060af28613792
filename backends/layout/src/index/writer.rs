//! Changes of many tasks, made with few writes.
//!
//! While one batch of changes is written, all others gather, and become the next batch. A batch is
//! driven by whoever waits for it: if one of them is dropped, the others go on; if all are, it
//! stops, or is finished by the next who comes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tranship::{Error, ErrorKind, Result};

use super::change::Edit;
use crate::sizes::Sizes;

/// Changes that are made together, and who waits for them.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) edits: Arc<Vec<Edit>>,
    /// The blobs, and their sizes in bytes, that must be there.
    pub(crate) required: Arc<Vec<Arc<Sizes>>>,
    pub(crate) answer: oneshot::Sender<Result<()>>,
}

/// Gathers changes into batches.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    gathered: Vec<Request>,
    running: Option<Shared<BoxFuture<'static, ()>>>,
}

impl Writer {
    /// Makes changes that go on `required` being there, with all others that wait, through `write`,
    /// which answers each request. At most one such future runs at a time.
    pub(crate) async fn commit(
        &self,
        edits: Vec<Edit>,
        required: Vec<Arc<Sizes>>,
        write: impl Fn(Vec<Request>) -> BoxFuture<'static, ()>,
    ) -> Result<()> {
        let (answer, mut answered) = oneshot::channel();
        self.lock().gathered.push(Request {
            edits: Arc::new(edits),
            required: Arc::new(required),
            answer,
        });
        while let Some(batch) = self.batch(&write) {
            batch.await;
            match answered.try_recv() {
                Ok(outcome) => return outcome,
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Closed) => break,
            }
        }
        // Between the two calls above, another thread may have started and finished the batch that had this request.
        answered.try_recv().unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Io,
                "the change of index.json was cut short",
            ))
        })
    }

    /// The batch that runs, or a new one; `None` if there is nothing to do.
    fn batch(
        &self,
        write: impl Fn(Vec<Request>) -> BoxFuture<'static, ()>,
    ) -> Option<Shared<BoxFuture<'static, ()>>> {
        let mut state = self.lock();
        if let Some(running) = &state.running
            && running.peek().is_none()
        {
            return Some(running.clone());
        }
        let requests = std::mem::take(&mut state.gathered);
        state.running = (!requests.is_empty()).then(|| write(requests).shared());
        state.running.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers every request with the same failure.
pub(crate) fn fail(requests: Vec<oneshot::Sender<Result<()>>>, error: Error) {
    let mut requests = requests;
    if requests.len() == 1 {
        // Nobody else needs it, so it is handed on as it is.
        if let Some(only) = requests.pop() {
            let _ = only.send(Err(error));
        }
        return;
    }
    let error = Arc::new(error);
    for request in requests {
        let mut copy = Error::new(error.kind(), "index.json cannot be changed")
            .with_retryable(error.is_retryable())
            .with_source(Arc::clone(&error));
        if let Some(hint) = error.hint() {
            copy = copy.with_hint(hint.to_owned());
        }
        let _ = request.send(Err(copy));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::Notify;

    use super::*;

    /// Answers each batch when it is released, and counts them.
    #[derive(Default)]
    struct Batches {
        begun: AtomicUsize,
        release: Notify,
    }

    impl Batches {
        fn write(self: &Arc<Self>, requests: Vec<Request>) -> BoxFuture<'static, ()> {
            let batches = Arc::clone(self);
            async move {
                batches.begun.fetch_add(1, Ordering::SeqCst);
                batches.release.notified().await;
                for request in requests {
                    let _ = request.answer.send(Ok(()));
                }
            }
            .boxed()
        }

        fn begun(&self) -> usize {
            self.begun.load(Ordering::SeqCst)
        }
    }

    fn edits() -> Vec<Edit> {
        vec![Edit::Untag("v1".parse().expect("a tag"))]
    }

    async fn poll_once<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match future.poll_unpin(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }

    #[tokio::test]
    async fn what_comes_during_a_batch_makes_one_more() {
        let (writer, batches) = (Writer::default(), Arc::new(Batches::default()));
        let mut all = Box::pin(join_all((0..100).map(|_| {
            let write = |requests| batches.write(requests);
            writer.commit(edits(), Vec::new(), write)
        })));
        assert!(poll_once(&mut all).await.is_none());
        batches.release.notify_one();
        assert!(poll_once(&mut all).await.is_none());
        batches.release.notify_one();
        let outcomes = all.await;
        assert!(outcomes.iter().all(Result::is_ok));
        assert_eq!(batches.begun(), 2);
    }

    #[tokio::test]
    async fn a_batch_goes_on_when_who_began_it_is_dropped() {
        let (writer, batches) = (Writer::default(), Arc::new(Batches::default()));
        let write = |requests| batches.write(requests);
        let mut first = Box::pin(writer.commit(edits(), Vec::new(), write));
        assert!(poll_once(&mut first).await.is_none());
        let mut second = Box::pin(writer.commit(edits(), Vec::new(), write));
        assert!(poll_once(&mut second).await.is_none());
        drop(first);
        batches.release.notify_one();
        assert!(poll_once(&mut second).await.is_none());
        batches.release.notify_one();
        assert!(second.await.is_ok());
        assert_eq!(batches.begun(), 2);
    }

    #[tokio::test]
    async fn a_batch_that_nobody_waits_for_does_not_block_the_next() {
        let (writer, batches) = (Writer::default(), Arc::new(Batches::default()));
        let write = |requests| batches.write(requests);
        let mut abandoned = Box::pin(writer.commit(edits(), Vec::new(), write));
        assert!(poll_once(&mut abandoned).await.is_none());
        drop(abandoned);
        let mut next = Box::pin(writer.commit(edits(), Vec::new(), write));
        batches.release.notify_one();
        assert!(poll_once(&mut next).await.is_none());
        batches.release.notify_one();
        assert!(next.await.is_ok());
    }

    #[test]
    fn every_commit_beside_other_threads_gets_its_result() {
        let writer = Writer::default();
        let commit_many = || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let runtime = runtime.expect("a runtime");
            for _ in 0..20_000 {
                let write = |requests: Vec<Request>| {
                    async move {
                        for request in requests {
                            let _ = request.answer.send(Ok(()));
                        }
                    }
                    .boxed()
                };
                let committed = runtime.block_on(writer.commit(edits(), Vec::new(), write));
                committed.expect("every batch succeeds");
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(commit_many);
            }
        });
    }

    #[tokio::test]
    async fn a_batch_that_dies_fails_those_who_wait_for_it() {
        let writer = Writer::default();
        let error = writer
            .commit(edits(), Vec::new(), |requests| {
                async move { drop(requests) }.boxed()
            })
            .await
            .expect_err("dropped");
        assert_eq!(error.kind(), ErrorKind::Io);
    }

    #[test]
    fn everybody_learns_why_a_batch_failed() {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| oneshot::channel()).unzip();
        let full = Error::new(ErrorKind::StorageFull, "no space left").with_hint("free some");
        fail(senders, full);
        for mut receiver in receivers {
            let error = receiver.try_recv().expect("answered").expect_err("failed");
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            assert_eq!(error.hint(), Some("free some"));
            let cause = std::error::Error::source(&error).expect("a cause");
            assert_eq!(cause.to_string(), "no space left");
        }
    }
}
