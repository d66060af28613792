//! One change of a tag at a time, so that a condition that was checked still holds when the tag moves.
//!
//! Backends know no conditions, so this is as far as one process reaches. No lock is held while a
//! body is read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tranship::{RepositoryName, Tag};

type Key = (RepositoryName, Tag);

#[derive(Debug, Default)]
pub(crate) struct TagLocks(Mutex<HashMap<Key, Weak<AsyncMutex<()>>>>);

/// Leave to change some tags, until it is dropped.
#[must_use]
#[derive(Debug)]
pub(crate) struct TagGuard {
    _held: Vec<OwnedMutexGuard<()>>,
}

impl TagLocks {
    /// Waits until nobody else changes any of `tags`. Dropping the future gives up.
    pub(crate) async fn lock(&self, name: &RepositoryName, tags: &[Tag]) -> TagGuard {
        let mut sorted: Vec<&Tag> = tags.iter().collect();
        // In one order, so that nobody waits for who waits for him.
        sorted.sort();
        sorted.dedup();
        let mut held = Vec::with_capacity(sorted.len());
        for tag in sorted {
            let lock = self.of(name, tag);
            held.push(lock.lock_owned().await);
        }
        TagGuard { _held: held }
    }

    fn of(&self, name: &RepositoryName, tag: &Tag) -> Arc<AsyncMutex<()>> {
        let key = (name.clone(), tag.clone());
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(&key).and_then(Weak::upgrade) {
            return lock;
        }
        // Whatever nobody waits for is forgotten whenever the map would grow.
        if locks.len() == locks.capacity() {
            locks.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::new(AsyncMutex::new(()));
        locks.insert(key, Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn a_tag_is_changed_by_one_at_a_time() {
        let locks = TagLocks::default();
        let name: RepositoryName = "app".parse().expect("a name");
        let [v1, v2]: [Tag; 2] = ["v1", "v2"].map(|tag| tag.parse().expect("a tag"));
        let first = locks.lock(&name, std::slice::from_ref(&v1)).await;
        assert!(
            locks
                .lock(&name, &[v2.clone(), v1.clone()])
                .now_or_never()
                .is_none()
        );
        let other = locks.lock(&name, &[v2]).now_or_never();
        assert!(other.is_some());
        drop(first);
        assert!(locks.lock(&name, &[v1]).now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_nobody_holds_is_forgotten() {
        let locks = TagLocks::default();
        let name: RepositoryName = "app".parse().expect("a name");
        for number in 0..1000 {
            let tag: Tag = format!("v{number}").parse().expect("a tag");
            drop(locks.lock(&name, &[tag]).await);
        }
        assert!(locks.0.lock().expect("not poisoned").len() < 10);
    }
}
