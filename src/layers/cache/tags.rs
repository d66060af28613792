//! Which tags the store of a cache may resolve.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

use crate::{RepositoryName, Tag};

/// How many tags are remembered of those that exist, and of the others. Requests for tags that do not exist never make a
/// tag be forgotten that does.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// How many tags can be set in the store at the same time.
const STRIPES: usize = 16;

/// The tags that the upstream has resolved, and when.
///
/// Several requests may ask the upstream for one tag at the same time, and their responses may arrive in another order
/// than they were made in. So each request has a ticket, and its result is kept only if no later request has a result,
/// and the tag was not moved through the cache since.
pub(super) struct Tags {
    /// For how long the store resolves a tag.
    pub(super) ttl: Duration,
    known: Mutex<Known>,
    setting: [tokio::sync::Mutex<()>; STRIPES],
    hasher: RandomState,
}

type Key = (RepositoryName, Tag);

struct Known {
    /// Those that the store resolves.
    resolved: LruCache<Key, State>,
    /// Those that were moved or do not exist, with the ticket of the move or of the result.
    gone: LruCache<Key, Ticket>,
    /// The last ticket that was forgotten. Of a tag that is not known, no earlier request has a result that counts.
    forgotten: Ticket,
    last: u64,
}

struct State {
    /// The ticket of the last result.
    ticket: Ticket,
    at: Instant,
    /// Whether it is what the store has because the upstream was down.
    is_stale: bool,
}

/// The order of requests for tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

impl Tags {
    pub(super) fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            known: Mutex::new(Known {
                resolved: LruCache::sparse(REMEMBERED),
                gone: LruCache::sparse(REMEMBERED),
                forgotten: Ticket(0),
                last: 0,
            }),
            setting: Default::default(),
            hasher: RandomState::new(),
        }
    }

    /// Returns whether the tag was resolved within the time to live.
    pub(super) fn is_fresh(&self, name: &RepositoryName, tag: &Tag) -> bool {
        let mut known = self.lock();
        let state = known.resolved.get(&(name.clone(), tag.clone()));
        state.is_some_and(|state| state.at.elapsed() < self.ttl)
    }

    /// Returns whether the store resolved the tag since the upstream was down.
    pub(super) fn is_stale(&self, name: &RepositoryName, tag: &Tag) -> bool {
        let known = self.lock();
        let state = known.resolved.peek(&(name.clone(), tag.clone()));
        state.is_some_and(|state| state.is_stale)
    }

    /// Returns the ticket for a request that begins now.
    pub(super) fn begin(&self) -> Ticket {
        self.lock().next()
    }

    /// Waits until no other task sets the tag in the store. Returns `None` if the result of the request with this
    /// ticket is out of date.
    pub(super) async fn set(
        &self,
        name: &RepositoryName,
        tag: &Tag,
        ticket: Ticket,
    ) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let stripe = self.hasher.hash_one((name, tag)) % STRIPES as u64;
        let turn = self.setting[usize::try_from(stripe).unwrap_or_default()]
            .lock()
            .await;
        let last = self.lock().last_of(&(name.clone(), tag.clone()));
        (last < ticket).then_some(turn)
    }

    /// Remembers that the store resolves the tag as the request with this ticket did.
    pub(super) fn resolved(&self, name: &RepositoryName, tag: &Tag, ticket: Ticket) {
        let mut known = self.lock();
        let key = (name.clone(), tag.clone());
        if known.last_of(&key) < ticket {
            known.resolve(key, ticket, false);
        }
    }

    /// Forgets the tag, which does not exist for the request with this ticket.
    pub(super) fn missing(&self, name: &RepositoryName, tag: &Tag, ticket: Ticket) {
        let mut known = self.lock();
        let key = (name.clone(), tag.clone());
        if known.last_of(&key) < ticket {
            known.remove(key, ticket);
        }
    }

    /// Lets the store resolve the tag for another time to live, since the upstream is down. Responses to requests
    /// that have begun still count.
    pub(super) fn extend(&self, name: &RepositoryName, tag: &Tag) {
        let mut known = self.lock();
        let key = (name.clone(), tag.clone());
        let ticket = known.last_of(&key);
        known.resolve(key, ticket, true);
    }

    /// Forgets the tag, which was moved: requests that have begun may have the earlier target.
    pub(super) fn moved(&self, name: &RepositoryName, tag: &Tag) {
        let mut known = self.lock();
        let ticket = known.next();
        known.remove((name.clone(), tag.clone()), ticket);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tags")
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

impl Known {
    fn next(&mut self) -> Ticket {
        self.last += 1;
        Ticket(self.last)
    }

    /// Returns the ticket of the last result or move of a tag.
    fn last_of(&self, key: &Key) -> Ticket {
        let resolved = self.resolved.peek(key).map(|state| state.ticket);
        let known = resolved.or_else(|| self.gone.peek(key).copied());
        known.unwrap_or(self.forgotten)
    }

    fn resolve(&mut self, key: Key, ticket: Ticket, is_stale: bool) {
        let state = State {
            ticket,
            at: Instant::now(),
            is_stale,
        };
        self.gone.pop(&key);
        if let Some((_, forgotten)) = self.resolved.push(key, state) {
            self.forgotten = self.forgotten.max(forgotten.ticket);
        }
    }

    fn remove(&mut self, key: Key, ticket: Ticket) {
        self.resolved.pop(&key);
        if let Some((_, forgotten)) = self.gone.push(key, ticket) {
            self.forgotten = self.forgotten.max(forgotten);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(text: &str) -> Tag {
        text.parse().expect("a tag")
    }

    fn tags() -> (Tags, RepositoryName) {
        let name = "app".parse().expect("a name");
        (Tags::new(Duration::from_secs(60)), name)
    }

    #[test]
    fn tags_that_do_not_exist_do_not_displace_those_that_do() {
        let (tags, name) = tags();
        tags.resolved(&name, &tag("v1"), tags.begin());
        for number in 0..2 * REMEMBERED.get() {
            tags.missing(&name, &tag(&format!("no{number}")), tags.begin());
        }
        assert!(tags.is_fresh(&name, &tag("v1")));
        tags.resolved(&name, &tag("v2"), tags.begin());
        assert!(tags.is_fresh(&name, &tag("v2")));
        assert_eq!(tags.lock().gone.len(), REMEMBERED.get());
    }

    #[test]
    fn a_tag_that_is_resolved_while_the_upstream_is_down_is_stale_however_many_are_known() {
        let (tags, name) = tags();
        for number in 0..REMEMBERED.get() {
            tags.resolved(&name, &tag(&format!("v{number}")), tags.begin());
        }
        tags.extend(&name, &tag("old"));
        assert!(tags.is_fresh(&name, &tag("old")) && tags.is_stale(&name, &tag("old")));
    }

    #[tokio::test]
    async fn the_result_of_a_request_before_a_move_does_not_count_when_the_move_is_forgotten() {
        let (tags, name) = tags();
        let before = tags.begin();
        tags.moved(&name, &tag("v1"));
        for number in 0..REMEMBERED.get() {
            tags.moved(&name, &tag(&format!("other{number}")));
        }
        assert!(tags.set(&name, &tag("v1"), before).await.is_none());
        tags.resolved(&name, &tag("v1"), before);
        assert!(!tags.is_fresh(&name, &tag("v1")));
    }
}
