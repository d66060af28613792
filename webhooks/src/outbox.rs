//! The events of one endpoint, on their way to the disk and to the receiver.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join;
use tokio::sync::{Notify, watch};
use tranship::{Result, blocking};
use tranship_server::ReceiverState;

use crate::delivery::{self, Outcome};
use crate::endpoint::Endpoint;
use crate::queue::{Item, Queue};

/// How many bytes of events may be in memory, before they are written to the queue.
const MAX_INCOMING: u64 = 4 * 1024 * 1024;

/// How many events are read from the queue at a time. Their removal is written to the disk at once.
const BATCH: usize = 32;

/// How long to wait after the queue could not be read or written.
const QUEUE_RETRY_DELAY: Duration = Duration::from_secs(5);

/// Is true when deliveries end.
pub(crate) type Stop = watch::Receiver<bool>;

/// The events of one endpoint.
#[derive(Debug)]
pub(crate) struct Outbox {
    position: usize,
    endpoint: Endpoint,
    queue: Arc<Queue>,
    incoming: Mutex<Incoming>,
    arrived: Notify,
    stored: Notify,
    delivered: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

/// Events that are not in the queue yet.
#[derive(Debug, Default)]
struct Incoming {
    items: VecDeque<Item>,
    bytes: u64,
}

impl Outbox {
    pub(crate) fn new(position: usize, endpoint: Endpoint, queue: Queue) -> Self {
        Self {
            position,
            endpoint,
            queue: Arc::new(queue),
            incoming: Mutex::default(),
            arrived: Notify::new(),
            stored: Notify::new(),
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Takes an event. This does not wait for the disk.
    pub(crate) fn push(&self, item: Item) {
        let mut incoming = self.incoming();
        incoming.bytes += item.size();
        incoming.items.push_back(item);
        while incoming.bytes > MAX_INCOMING
            && let Some(oldest) = incoming.items.pop_front()
        {
            incoming.bytes -= oldest.size();
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        drop(incoming);
        self.arrived.notify_one();
    }

    pub(crate) fn state(&self) -> ReceiverState {
        let mut state = ReceiverState::default();
        state.delivered = self.delivered.load(Ordering::Relaxed);
        state.failed = self.failed.load(Ordering::Relaxed);
        state.dropped = self.dropped.load(Ordering::Relaxed);
        state.queued = self.queue.len() + self.incoming().items.len() as u64;
        state
    }

    fn incoming(&self) -> std::sync::MutexGuard<'_, Incoming> {
        self.incoming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores and delivers events until `stop` is true.
    pub(crate) async fn run(&self, client: &reqwest::Client, stop: Stop) {
        join(self.store(stop.clone()), self.deliver(client, stop)).await;
    }

    /// Writes events to the queue as they arrive. After `stop`, it writes those that have arrived.
    async fn store(&self, mut stop: Stop) {
        loop {
            let is_stopping = *stop.borrow();
            match self.store_incoming().await {
                Ok(()) if is_stopping => return,
                Ok(()) => {
                    until(&mut stop, self.arrived.notified()).await;
                }
                Err(error) => {
                    tracing::error!(endpoint = self.position, %error, "events cannot be queued");
                    if is_stopping {
                        return;
                    }
                    until(&mut stop, tokio::time::sleep(QUEUE_RETRY_DELAY)).await;
                }
            }
        }
    }

    /// Writes the events that have arrived to the queue. If that fails, they stay in memory.
    async fn store_incoming(&self) -> Result<()> {
        let items: Vec<Item> = self.incoming().items.iter().cloned().collect();
        let Some(last) = items.last().map(|last| last.id.clone()) else {
            return Ok(());
        };
        let queue = Arc::clone(&self.queue);
        let dropped = blocking::run(move || queue.append(&items)).await?;
        self.forget_incoming(&last);
        if dropped > 0 {
            self.dropped.fetch_add(dropped, Ordering::Relaxed);
            tracing::warn!(
                endpoint = self.position,
                receiver = self.endpoint.origin(),
                "the queue of events is full: {dropped} of the oldest events are dropped"
            );
        }
        self.stored.notify_one();
        Ok(())
    }

    /// Removes the events up to the one with the id `last`, which are in the queue. Some may have been dropped since.
    fn forget_incoming(&self, last: &str) {
        let mut incoming = self.incoming();
        let Some(position) = incoming.items.iter().position(|item| item.id == last) else {
            return;
        };
        let stored: u64 = incoming
            .items
            .drain(..=position)
            .map(|item| item.size())
            .sum();
        incoming.bytes -= stored;
    }

    /// Delivers the events of the queue in their order.
    async fn deliver(&self, client: &reqwest::Client, mut stop: Stop) {
        let mut failures = 0;
        while !*stop.borrow() {
            let queue = Arc::clone(&self.queue);
            let items = match blocking::run(move || queue.first(BATCH)).await {
                Ok(items) => items,
                Err(error) => {
                    tracing::error!(endpoint = self.position, %error, "the queue cannot be read");
                    until(&mut stop, tokio::time::sleep(QUEUE_RETRY_DELAY)).await;
                    continue;
                }
            };
            if items.is_empty() {
                until(&mut stop, self.stored.notified()).await;
                continue;
            }
            let mut done = Vec::new();
            let mut delay = None;
            for (key, item) in items {
                let sent = delivery::send(client, &self.endpoint, &item);
                let Some(outcome) = until(&mut stop, sent).await else {
                    break;
                };
                match self.settle(&item, outcome) {
                    Ok(()) => {
                        failures = 0;
                        done.push(key);
                    }
                    Err(retry_after) => {
                        failures += 1;
                        delay = Some(self.endpoint.retry.delay(failures, retry_after));
                        break;
                    }
                }
            }
            if !done.is_empty() {
                let queue = Arc::clone(&self.queue);
                if let Err(error) = blocking::run(move || queue.remove(&done)).await {
                    tracing::error!(endpoint = self.position, %error, "delivered events stay queued");
                    delay = delay.max(Some(QUEUE_RETRY_DELAY));
                }
            }
            if let Some(delay) = delay {
                until(&mut stop, tokio::time::sleep(delay)).await;
            }
        }
    }

    /// Counts an attempt. Returns an error, with the delay that the receiver asks for, if the event is to be sent again.
    fn settle(&self, item: &Item, outcome: Outcome) -> Result<(), Option<Duration>> {
        let (reason, retry_after) = match outcome {
            Outcome::Delivered => {
                self.delivered.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            Outcome::Rejected(reason) => (reason, None),
            Outcome::Failed {
                reason,
                retry_after,
            } => {
                let age = item.time.elapsed().unwrap_or_default();
                let is_given_up = age > self.endpoint.retry.give_up_after;
                (reason, (!is_given_up).then_some(retry_after))
            }
        };
        self.failed.fetch_add(1, Ordering::Relaxed);
        let (endpoint, receiver) = (self.position, self.endpoint.origin());
        match retry_after {
            Some(retry_after) => {
                tracing::warn!(
                    endpoint,
                    receiver,
                    reason,
                    "an event could not be delivered"
                );
                Err(retry_after)
            }
            None => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    endpoint,
                    receiver,
                    reason,
                    id = item.id,
                    "an event is dropped"
                );
                Ok(())
            }
        }
    }
}

/// Returns what `future` returns, or `None` if `stop` becomes true first.
async fn until<T>(stop: &mut Stop, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        // An error means that the notifier is gone, which also ends deliveries.
        _ = stop.wait_for(|stop| *stop) => None,
        output = future => Some(output),
    }
}
