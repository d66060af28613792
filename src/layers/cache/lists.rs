//! What is remembered of lists: which lists of referrers are empty, and which lists may be out of date.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

use crate::{Algorithm, Digest, MediaType, RepositoryName, Tag};

/// How many lists are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// The length of the hash in a tag that replaces a list of referrers (distribution-spec, "Referrers Tag Schema").
const HASH_LENGTH: usize = 64;

/// A list of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum ListKey {
    Tags,
    /// The referrers of this subject, of one type or of all.
    Referrers(Digest, Option<MediaType>),
    /// A tag that attaches something to a digest: the referrers tag, or one with a suffix such as `.sig`. It may exist
    /// although the list of referrers is empty, as registries do not move older referrers into their lists.
    DigestTag(String),
}

impl ListKey {
    pub(super) fn referrers(subject: &Digest, artifact_type: Option<&MediaType>) -> Self {
        Self::Referrers(*subject, artifact_type.cloned())
    }

    /// Returns `None` for a tag that does not begin with a digest.
    pub(super) fn of_tag(tag: &Tag) -> Option<Self> {
        let (algorithm, rest) = tag.as_str().split_once('-')?;
        let hash = rest.split('.').next().unwrap_or_default();
        let is_hash =
            hash.len() == HASH_LENGTH && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_hash && algorithm.parse::<Algorithm>().is_ok())
            .then(|| Self::DigestTag(tag.to_string()))
    }

    /// Returns the list that is empty only if this one is.
    fn whole(&self) -> Option<Self> {
        match self {
            Self::Referrers(subject, Some(_)) => Some(Self::Referrers(*subject, None)),
            Self::Tags | Self::Referrers(_, None) | Self::DigestTag(_) => None,
        }
    }
}

/// The lists of an upstream that are remembered.
///
/// Only empty lists of referrers are: other lists are made of the stored content, but the store cannot tell an image
/// without referrers from one whose referrers were not read.
#[derive(Debug)]
pub(super) struct Lists {
    ttl: Duration,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    lists: LruCache<(RepositoryName, ListKey), State>,
    /// How many times a repository was changed through the cache.
    changes: u64,
}

#[derive(Debug)]
struct State {
    at: Instant,
    is_empty: bool,
    /// Whether it was listed without the upstream, which was down.
    is_stale: bool,
}

/// When a request for a list began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begun(u64);

impl Lists {
    pub(super) fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            known: Mutex::new(Known {
                lists: LruCache::sparse(REMEMBERED),
                changes: 0,
            }),
        }
    }

    /// Is called before a list is requested.
    pub(super) fn begin(&self) -> Begun {
        Begun(self.lock().changes)
    }

    /// Returns whether the list was empty within the time to live.
    pub(super) fn is_fresh(&self, name: &RepositoryName, key: &ListKey) -> bool {
        let known = self.lock();
        let state = known
            .empty(name, key)
            .and_then(|key| known.lists.peek(&key));
        state.is_some_and(|state| state.at.elapsed() < self.ttl)
    }

    /// Returns whether the list was empty when it was last requested.
    pub(super) fn is_empty(&self, name: &RepositoryName, key: &ListKey) -> bool {
        self.lock().empty(name, key).is_some()
    }

    /// Notes how the upstream has responded to a request for a list.
    pub(super) fn answered(
        &self,
        name: &RepositoryName,
        key: &ListKey,
        begun: Begun,
        is_empty: bool,
    ) {
        let mut known = self.lock();
        for key in [Some(key.clone()), key.whole()].into_iter().flatten() {
            known.lists.pop(&(name.clone(), key));
        }
        // A list that was changed since may have an item.
        if is_empty && *key != ListKey::Tags && known.changes == begun.0 {
            known.insert(name, key, false);
        }
    }

    /// Uses an empty list for another time to live, since the upstream is down. Returns whether the list was empty.
    pub(super) fn extend(&self, name: &RepositoryName, key: &ListKey) -> bool {
        let mut known = self.lock();
        let key = known.empty(name, key);
        let state = key.and_then(|key| known.lists.get_mut(&key));
        let is_empty = state.is_some();
        if let Some(state) = state {
            state.at = Instant::now();
            state.is_stale = true;
        }
        is_empty
    }

    /// Notes that the store has listed what it has, since the upstream is down.
    pub(super) fn listed_stored(&self, name: &RepositoryName, key: &ListKey) {
        self.lock().insert(name, key, true);
    }

    /// Returns whether the list was last made without the upstream.
    pub(super) fn is_stale(&self, name: &RepositoryName, key: &ListKey) -> bool {
        let known = self.lock();
        [Some(key.clone()), key.whole()]
            .into_iter()
            .flatten()
            .filter_map(|key| known.lists.peek(&(name.clone(), key)))
            .any(|state| state.is_stale)
    }

    /// Forgets the lists of a repository that is changed through the cache.
    pub(super) fn changed(&self, name: &RepositoryName) {
        let mut known = self.lock();
        known.changes += 1;
        known.lists.retain(|(other, _), _| other != name);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Returns the key of the list if it is empty, or else that of the whole list if that is empty.
    fn empty(&self, name: &RepositoryName, key: &ListKey) -> Option<(RepositoryName, ListKey)> {
        let keys = [Some(key.clone()), key.whole()].into_iter().flatten();
        let mut keys = keys.map(|key| (name.clone(), key));
        keys.find(|key| self.lists.peek(key).is_some_and(|state| state.is_empty))
    }

    fn insert(&mut self, name: &RepositoryName, key: &ListKey, is_stale: bool) {
        let state = State {
            at: Instant::now(),
            is_empty: !is_stale,
            is_stale,
        };
        self.lists.put((name.clone(), key.clone()), state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_begins_with_a_digest_is_one_of_a_list() {
        let hash = Digest::of(b"image").hex();
        let long = Algorithm::Sha512.digest(b"image").hex();
        let of_tag = |text: String| ListKey::of_tag(&text.parse().expect("a tag"));
        for tag in [
            format!("sha256-{hash}"),
            format!("sha256-{hash}.sig"),
            format!("sha512-{}", &long[..HASH_LENGTH]),
        ] {
            assert_eq!(of_tag(tag.clone()), Some(ListKey::DigestTag(tag)));
        }
        for other in [
            "v1".to_owned(),
            "sha256-1234".to_owned(),
            format!("ha256-{hash}"),
            format!("sha256-{hash}0"),
        ] {
            assert_eq!(of_tag(other.clone()), None, "{other}");
        }
    }

    #[test]
    fn a_list_without_the_upstream_is_stale_however_many_are_known() {
        let name = "app".parse().expect("a name");
        let lists = Lists::new(Duration::from_secs(60));
        for number in 0..=REMEMBERED.get() {
            let key = ListKey::referrers(&Digest::of(number.to_string().as_bytes()), None);
            lists.answered(&name, &key, lists.begin(), true);
        }
        lists.listed_stored(&name, &ListKey::Tags);
        assert!(lists.is_stale(&name, &ListKey::Tags));
    }
}
