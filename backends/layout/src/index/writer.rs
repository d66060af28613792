//! Changes of many tasks, made with few writes.
//!
//! While one batch of changes is written, all others gather, and become the next batch. A batch is
//! driven by whoever waits for it: if one of them is dropped, the others go on; if all are, it
//! stops, or is finished by the next who comes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::oneshot;
use tranship::{Error, ErrorKind, Result};

use super::Edit;

/// A change, and who waits for it.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) edit: Edit,
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
    /// Makes a change, with all others that wait, through `write`, which answers each request. At
    /// most one such future runs at a time.
    pub(crate) async fn commit(
        &self,
        edit: Edit,
        write: impl Fn(Vec<Request>) -> BoxFuture<'static, ()>,
    ) -> Result<()> {
        let (answer, mut answered) = oneshot::channel();
        self.lock().gathered.push(Request { edit, answer });
        loop {
            let Some(batch) = self.batch(&write) else {
                break;
            };
            batch.await;
            if let Ok(outcome) = answered.try_recv() {
                return outcome;
            }
        }
        answered.await.unwrap_or_else(|_| {
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
    let error = std::sync::Arc::new(error);
    for request in requests {
        let mut copy = Error::new(error.kind(), "index.json cannot be changed")
            .with_retryable(error.is_retryable())
            .with_source(std::sync::Arc::clone(&error));
        if let Some(hint) = error.hint() {
            copy = copy.with_hint(hint.to_owned());
        }
        let _ = request.send(Err(copy));
    }
}
