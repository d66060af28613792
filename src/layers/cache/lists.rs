//! What is remembered of lists: which lists of referrers are empty, and which lists may be out of date.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::{Algorithm, Digest, MediaType, RepositoryName, Tag};

/// How many lists are remembered before those that have expired are forgotten.
const REMEMBERED: usize = 10_000;

/// The length of the hash in a tag that replaces a list of referrers (distribution-spec, "Referrers Tag Schema").
const HASH_LENGTH: usize = 64;

/// A list of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum ListKey {
    Tags,
    /// The referrers of the subject with this referrers tag, of one type or of all.
    Referrers(String, Option<MediaType>),
    /// A tag that attaches something to a digest: the referrers tag, or one with a suffix such as `.sig`.
    DigestTag(String),
}

impl ListKey {
    pub(super) fn referrers(subject: &Digest, artifact_type: Option<&MediaType>) -> Self {
        let mut hash = subject.hex();
        hash.truncate(HASH_LENGTH);
        Self::Referrers(
            format!("{}-{hash}", subject.algorithm()),
            artifact_type.cloned(),
        )
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
            Self::Tags | Self::Referrers(_, None) => None,
            Self::Referrers(tag, Some(_)) | Self::DigestTag(tag) => {
                Some(Self::Referrers(tag.clone(), None))
            }
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

#[derive(Debug, Default)]
struct Known {
    lists: HashMap<(RepositoryName, ListKey), State>,
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
            known: Mutex::default(),
        }
    }

    /// Is called before a list is requested.
    pub(super) fn begin(&self) -> Begun {
        Begun(self.lock().changes)
    }

    /// Returns whether the list was empty within the time to live.
    pub(super) fn is_fresh(&self, name: &RepositoryName, key: &ListKey) -> bool {
        let known = self.lock();
        let state = known.empty(name, key).and_then(|key| known.lists.get(&key));
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
            known.lists.remove(&(name.clone(), key));
        }
        // A list that was changed since may have an item.
        if is_empty && *key != ListKey::Tags && known.changes == begun.0 {
            known.insert(name, key, self.ttl, false);
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
        self.lock().insert(name, key, self.ttl, true);
    }

    /// Returns whether the list was last made without the upstream.
    pub(super) fn is_stale(&self, name: &RepositoryName, key: &ListKey) -> bool {
        let known = self.lock();
        [Some(key.clone()), key.whole()]
            .into_iter()
            .flatten()
            .filter_map(|key| known.lists.get(&(name.clone(), key)))
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
        keys.find(|key| self.lists.get(key).is_some_and(|state| state.is_empty))
    }

    fn insert(&mut self, name: &RepositoryName, key: &ListKey, ttl: Duration, is_stale: bool) {
        if self.lists.len() >= REMEMBERED {
            self.lists.retain(|_, state| state.at.elapsed() < ttl);
        }
        if self.lists.len() < REMEMBERED {
            let state = State {
                at: Instant::now(),
                is_empty: !is_stale,
                is_stale,
            };
            self.lists.insert((name.clone(), key.clone()), state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_tag_belongs_to_the_list_of_its_subject() {
        let subject = Digest::of(b"image");
        let list = ListKey::referrers(&subject, None);
        let tag = format!("sha256-{}", subject.hex());
        let of_tag = |text: &str| ListKey::of_tag(&text.parse().expect("a tag"));
        assert_eq!(of_tag(&tag).expect("a list").whole(), Some(list));
        let long = Algorithm::Sha512.digest(b"image");
        let tag_of_long = format!("sha512-{}", &long.hex()[..HASH_LENGTH]);
        let whole = of_tag(&tag_of_long).expect("a list").whole();
        assert_eq!(whole, Some(ListKey::referrers(&long, None)));
        assert!(of_tag(&format!("{tag}.sig")).is_some());
        for other in ["v1", "sha256-1234", &tag[1..], &format!("{tag}0")] {
            assert_eq!(of_tag(other), None, "{other}");
        }
    }
}
