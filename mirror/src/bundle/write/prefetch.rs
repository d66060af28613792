//! Reads small blobs before it is their turn, so that each does not cost the latency of its source.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use tranship::{Content, Result};

use super::super::plan::Plan;

/// Up to this size, in bytes, blobs are read before their turn.
pub(super) const SMALL: u64 = 1024 * 1024;

type Fetch<'a> = Pin<Box<dyn Future<Output = Result<Bytes>> + Send + 'a>>;

/// The next small blobs, in their order: some are read already, others are being read.
pub(super) struct Prefetcher<'a> {
    plan: &'a Plan,
    /// Blobs whose read has not begun.
    waiting: VecDeque<u32>,
    begun: VecDeque<(u32, Slot<'a>)>,
    concurrency: usize,
}

enum Slot<'a> {
    Reading(Fetch<'a>),
    Read(Result<Bytes>),
}

impl<'a> Prefetcher<'a> {
    /// `blobs` are the small ones that are written whole, in ascending order. At most `concurrency` are read at the same time.
    pub(super) fn new(plan: &'a Plan, blobs: VecDeque<u32>, concurrency: usize) -> Self {
        Self {
            plan,
            waiting: blobs,
            begun: VecDeque::new(),
            concurrency: concurrency.max(1),
        }
    }

    /// Returns the verified content of the blob `number`; `None` if it is not one of the small ones. Those before it are
    /// dropped.
    pub(super) async fn take(&mut self, number: u32) -> Option<Result<Bytes>> {
        while self.begun.front().is_some_and(|(begun, _)| *begun < number) {
            self.begun.pop_front();
        }
        while self
            .waiting
            .front()
            .is_some_and(|waiting| *waiting < number)
        {
            self.waiting.pop_front();
        }
        self.refill();
        if self.begun.front().is_none_or(|(begun, _)| *begun != number) {
            return None;
        }
        let read = poll_fn(|context| {
            self.poll_all(context);
            match self.begun.front() {
                Some((_, Slot::Reading(_))) => Poll::Pending,
                _ => Poll::Ready(()),
            }
        });
        read.await;
        match self.begun.pop_front() {
            Some((_, Slot::Read(content))) => Some(content),
            _ => None,
        }
    }

    /// Runs `work`, and the reads that have begun beside it.
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            let outcome = work.as_mut().poll(context);
            if outcome.is_pending() {
                self.poll_all(context);
            }
            outcome
        })
        .await
    }

    fn refill(&mut self) {
        while self.begun.len() < self.concurrency
            && let Some(number) = self.waiting.pop_front()
        {
            let plan = self.plan;
            let fetch = Box::pin(fetch(plan, number));
            self.begun.push_back((number, Slot::Reading(fetch)));
        }
    }

    fn poll_all(&mut self, context: &mut Context<'_>) {
        for (_, slot) in &mut self.begun {
            if let Slot::Reading(fetch) = slot
                && let Poll::Ready(content) = fetch.as_mut().poll(context)
            {
                *slot = Slot::Read(content);
            }
        }
    }
}

async fn fetch(plan: &Plan, number: u32) -> Result<Bytes> {
    let mut reader = plan.reader(number, 0, None)?;
    let descriptor = plan.contents.node(number)?.descriptor();
    let mut content = bytes::BytesMut::new();
    while let Some(piece) = reader.next().await? {
        content.extend_from_slice(&piece);
    }
    Content::from_bytes(descriptor, content.freeze())
        .bytes(SMALL)
        .await
}
