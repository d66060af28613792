//! Which content of a store was used last.

use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use super::fills::Key;
use crate::{ContentKind, Descriptor, RepositoryName};

/// Content that a cache has stored.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedContent {
    /// The repository that has the content.
    pub repository: RepositoryName,
    /// Whether it is a blob or a manifest.
    pub kind: ContentKind,
    /// Its media type, digest and size.
    pub target: Descriptor,
}

impl CachedContent {
    /// Returns the content `target` of `repository`.
    #[must_use]
    pub fn new(repository: RepositoryName, kind: ContentKind, target: Descriptor) -> Self {
        Self {
            repository,
            kind,
            target,
        }
    }

    fn key(&self) -> Key {
        (self.repository.clone(), self.kind, *self.target.digest())
    }
}

/// The content that is stored, in the order of its last use.
#[derive(Debug)]
pub(super) struct Usage(Mutex<State>);

#[derive(Debug)]
struct State {
    entries: LruCache<Key, Descriptor>,
    bytes: u64,
}

impl State {
    fn put(&mut self, key: Key, target: Descriptor) {
        self.bytes = self.bytes.saturating_add(target.size());
        if let Some(replaced) = self.entries.put(key, target) {
            self.bytes = self.bytes.saturating_sub(replaced.size());
        }
    }
}

impl Usage {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            entries: LruCache::unbounded(),
            bytes: 0,
        }))
    }

    /// Notes that the content is stored, and was used now.
    pub(super) fn used(&self, name: &RepositoryName, kind: ContentKind, target: &Descriptor) {
        let key = (name.clone(), kind, *target.digest());
        let mut state = self.lock();
        if state.entries.get(&key).is_none() {
            state.put(key, target.plain());
        }
    }

    /// Notes that content is stored, and was used before any other, unless it is known.
    pub(super) fn found(&self, content: CachedContent) {
        let key = content.key();
        let mut state = self.lock();
        if !state.entries.contains(&key) {
            state.put(key.clone(), content.target);
            state.entries.demote(&key);
        }
    }

    pub(super) fn removed(&self, name: &RepositoryName, kind: ContentKind, target: &Descriptor) {
        let mut state = self.lock();
        let key = (name.clone(), kind, *target.digest());
        if let Some(removed) = state.entries.pop(&key) {
            state.bytes = state.bytes.saturating_sub(removed.size());
        }
    }

    /// Removes and returns what was used least recently, if there are more than `limit` bytes.
    pub(super) fn take_excess(&self, limit: u64) -> Option<CachedContent> {
        let mut state = self.lock();
        if state.bytes <= limit {
            return None;
        }
        let ((repository, kind, _), target) = state.entries.pop_lru()?;
        state.bytes = state.bytes.saturating_sub(target.size());
        Some(CachedContent::new(repository, kind, target))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Returns all content, beginning with what was used least recently.
    pub(super) fn contents(&self) -> Vec<CachedContent> {
        let state = self.lock();
        let contents = state
            .entries
            .iter()
            .rev()
            .map(|((repository, kind, _), target)| {
                CachedContent::new(repository.clone(), *kind, target.clone())
            });
        contents.collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Digest, MediaType};

    fn name() -> RepositoryName {
        "app".parse().expect("a name")
    }

    fn blob(content: &[u8]) -> Descriptor {
        Descriptor::of(MediaType::OCTET_STREAM, content)
    }

    fn digest(content: Option<CachedContent>) -> Option<Digest> {
        content.map(|content| *content.target.digest())
    }

    #[test]
    fn what_was_used_least_recently_is_taken_first() {
        let usage = Usage::new();
        let (one, two, old) = (blob(b"one"), blob(b"two"), blob(b"old"));
        usage.used(&name(), ContentKind::Blob, &one);
        usage.used(&name(), ContentKind::Blob, &two);
        usage.used(&name(), ContentKind::Blob, &one);
        usage.found(CachedContent::new(name(), ContentKind::Blob, old.clone()));
        assert_eq!(usage.bytes(), 9);
        assert_eq!(digest(usage.take_excess(8)), Some(*old.digest()));
        assert_eq!(digest(usage.take_excess(8)), None);
        assert_eq!(digest(usage.take_excess(5)), Some(*two.digest()));
        assert_eq!(usage.bytes(), 3);
    }

    #[test]
    fn content_is_counted_once() {
        let usage = Usage::new();
        let one = blob(b"one");
        for _ in 0..2 {
            usage.used(&name(), ContentKind::Blob, &one);
            usage.found(CachedContent::new(name(), ContentKind::Blob, one.clone()));
        }
        assert_eq!(usage.bytes(), 3);
        usage.removed(&name(), ContentKind::Blob, &one);
        usage.removed(&name(), ContentKind::Blob, &one);
        assert_eq!(usage.bytes(), 0);
    }
}
