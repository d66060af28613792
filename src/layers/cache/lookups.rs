//! Work that several callers need, and that is done once.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use crate::{Error, Result};

type Lookup<V> = Shared<BoxFuture<'static, Result<V, Arc<Error>>>>;

type Table<K, V> = HashMap<K, WeakShared<BoxFuture<'static, Result<V, Arc<Error>>>>>;

/// Lookups in progress. Callers with the same key wait for one lookup. It is polled by those that wait, and dropped with
/// the last of them.
pub(super) struct Lookups<K, V>(Mutex<Table<K, V>>);

impl<K, V> Default for Lookups<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq, V: Clone + Send + Sync + 'static> Lookups<K, V> {
    /// Waits for the lookup with this key, which `begin` begins unless there is one.
    ///
    /// # Errors
    /// That of the lookup, without its source.
    pub(super) async fn run<F>(&self, key: K, begin: impl FnOnce() -> F) -> Result<V>
    where
        F: Future<Output = Result<V>> + Send + 'static,
    {
        let lookup = {
            let mut table = self.lock();
            match table.get(&key).and_then(running) {
                Some(lookup) => lookup,
                None => {
                    let lookup = begin().map(|found| found.map_err(Arc::new));
                    let lookup = lookup.boxed().shared();
                    // Lookups that have ended are removed when the table would grow.
                    if table.len() == table.capacity() {
                        table.retain(|_, other| running(other).is_some());
                    }
                    table.extend(lookup.downgrade().map(|weak| (key, weak)));
                    lookup
                }
            }
        };
        lookup.await.map_err(|error| error.without_source())
    }

    /// Lets the next caller with this key begin another lookup.
    pub(super) fn forget(&self, key: &K) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, Table<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn running<V: Clone>(
    lookup: &WeakShared<BoxFuture<'static, Result<V, Arc<Error>>>>,
) -> Option<Lookup<V>> {
    lookup.upgrade().filter(|lookup| lookup.peek().is_none())
}

impl<K, V> fmt::Debug for Lookups<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookups").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join;

    use super::*;
    use crate::ErrorKind;

    async fn lookup(result: Result<u32>) -> Result<u32> {
        tokio::task::yield_now().await;
        result
    }

    #[tokio::test]
    async fn callers_at_the_same_time_share_a_lookup() {
        let lookups = Lookups::default();
        let one = lookups.run("key", || lookup(Ok(1)));
        let two = lookups.run("key", || lookup(Ok(2)));
        let (one, two) = join(one, two).await;
        assert_eq!((one.expect("found"), two.expect("found")), (1, 1));
        let three = lookups.run("key", || lookup(Ok(3))).await;
        assert_eq!(three.expect("found"), 3);
    }

    #[tokio::test]
    async fn every_caller_gets_the_error() {
        let lookups = Lookups::default();
        let fail = || lookup(Err(Error::not_found("v1")));
        let (one, two) = join(lookups.run("key", fail), lookups.run("key", fail)).await;
        for error in [one, two].map(|result| result.expect_err("not found")) {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert_eq!(error.subject(), Some("v1"));
        }
    }

    #[tokio::test]
    async fn a_forgotten_lookup_is_not_joined() {
        let lookups = Lookups::default();
        let one = lookups.run("key", || lookup(Ok(1)));
        let two = async {
            lookups.forget(&"key");
            lookups.run("key", || lookup(Ok(2))).await
        };
        let (one, two) = join(one, two).await;
        assert_eq!((one.expect("found"), two.expect("found")), (1, 2));
    }
}
