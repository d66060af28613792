//! Content that is being fetched from the upstream into the store.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::future::{BoxFuture, Either, Shared, select};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::Notify;

use super::spool::{End, Spool};
use crate::*;

/// What identifies content of a registry.
pub(super) type Key = (RepositoryName, ContentKind, Digest);

/// The fetch of one content, which any number of readers follow.
pub(super) struct Fill {
    pub(super) target: Descriptor,
    /// The bytes that have arrived. Small content does not have it: its readers wait for the store.
    pub(super) spool: Option<Arc<Spool>>,
    /// Ends when the content has been stored, or could not be. It is polled by the readers and by the driver, and dropped
    /// with the last of them.
    storing: Shared<BoxFuture<'static, End>>,
}

/// The fills in progress.
#[derive(Default)]
pub(super) struct Fills {
    table: Mutex<HashMap<Key, Weak<Fill>>>,
    /// How many futures of [`drive`](Self::drive) exist.
    drivers: AtomicUsize,
    /// The fills that a driver has yet to poll.
    added: Mutex<Vec<Arc<Fill>>>,
    is_added: Notify,
}

impl Fills {
    /// Returns the fill of the content, if there is one.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Fill>> {
        let fill = lock(&self.table).get(key).and_then(Weak::upgrade)?;
        fill.storing.peek().is_none().then_some(fill)
    }

    /// Adds a fill, which `store` carries out: it reads the source that it is given, and returns how that ended. If
    /// there is one already, that one is returned.
    pub(super) fn begin(
        &self,
        key: Key,
        target: &Descriptor,
        spool: Option<Spool>,
        store: impl FnOnce(Option<Arc<Spool>>) -> BoxFuture<'static, End>,
    ) -> Arc<Fill> {
        let mut table = lock(&self.table);
        if let Some(fill) = table.get(&key).and_then(Weak::upgrade)
            && fill.storing.peek().is_none()
        {
            return fill;
        }
        let spool = spool.map(Arc::new);
        let storing = store(spool.clone());
        let ended = spool.clone();
        let storing = storing.inspect(move |end| {
            if let Some(spool) = ended {
                spool.end(*end);
            }
        });
        let fill = Arc::new(Fill {
            target: target.clone(),
            spool,
            storing: storing.boxed().shared(),
        });
        // Fills that have ended are removed when the table would grow.
        if table.len() == table.capacity() {
            table.retain(|_, other| other.strong_count() > 0);
        }
        table.insert(key, Arc::downgrade(&fill));
        if self.drivers.load(Ordering::Acquire) > 0 {
            lock(&self.added).push(Arc::clone(&fill));
            self.is_added.notify_one();
        }
        fill
    }

    /// Polls the fills that begin from now on until they end, so that they do not depend on readers, and calls `after`
    /// when one has ended. This never ends.
    pub(super) async fn drive(&self, after: impl AsyncFn()) {
        let _counted = CountedDriver::begin(self);
        let mut fills = FuturesUnordered::new();
        loop {
            for fill in std::mem::take(&mut *lock(&self.added)) {
                fills.push(async move { fill.storing.clone().await });
            }
            let added = pin!(self.is_added.notified());
            if fills.is_empty() {
                added.await;
            } else if let Either::Right(_) = select(added, fills.next()).await {
                after().await;
            }
        }
    }
}

impl fmt::Debug for Fills {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fills").finish_non_exhaustive()
    }
}

/// Counts a driver until it is dropped.
struct CountedDriver<'a>(&'a Fills);

impl<'a> CountedDriver<'a> {
    fn begin(fills: &'a Fills) -> Self {
        fills.drivers.fetch_add(1, Ordering::AcqRel);
        Self(fills)
    }
}

impl Drop for CountedDriver<'_> {
    fn drop(&mut self) {
        if self.0.drivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            lock(&self.0.added).clear();
        }
    }
}

impl Fill {
    /// Waits until the content has been stored, or could not be.
    pub(super) async fn stored(&self) -> End {
        self.storing.clone().await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
