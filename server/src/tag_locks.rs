//! Locks that allow one change of a tag at a time, so that a condition is still met when the tag moves.
//!
//! Backends do not have conditional changes, so this works within one process only. No lock is held while a body is
//! read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tranship::{RepositoryName, Tag};

type Key = (RepositoryName, Tag);

#[derive(Debug, Default)]
pub(crate) struct TagLocks(Mutex<HashMap<Key, Weak<AsyncMutex<()>>>>);

/// The permission to change some tags, from [`RegistryService::lock_tags`](crate::RegistryService::lock_tags), until it is
/// dropped.
#[must_use]
#[derive(Debug)]
pub struct TagGuard {
    _guards: Vec<OwnedMutexGuard<()>>,
}

impl TagLocks {
    /// Waits until no other request changes any of `tags`. Dropping the future releases all locks.
    pub(crate) async fn lock(&self, name: &RepositoryName, tags: &[Tag]) -> TagGuard {
        let mut sorted: Vec<&Tag> = tags.iter().collect();
        // Always in the same order, so that two requests cannot wait for each other.
        sorted.sort();
        sorted.dedup();
        let mut guards = Vec::with_capacity(sorted.len());
        for tag in sorted {
            let lock = self.of(name, tag);
            guards.push(lock.lock_owned().await);
        }
        TagGuard { _guards: guards }
    }

    fn of(&self, name: &RepositoryName, tag: &Tag) -> Arc<AsyncMutex<()>> {
        let key = (name.clone(), tag.clone());
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(&key).and_then(Weak::upgrade) {
            return lock;
        }
        // Unused locks are removed whenever the map would grow.
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
    async fn two_changes_of_a_tag_exclude_each_other() {
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
    async fn unused_locks_are_removed() {
        let locks = TagLocks::default();
        let name: RepositoryName = "app".parse().expect("a name");
        for number in 0..1000 {
            let tag: Tag = format!("v{number}").parse().expect("a tag");
            drop(locks.lock(&name, &[tag]).await);
        }
        assert!(locks.0.lock().expect("not poisoned").len() < 10);
    }
}
