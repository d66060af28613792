//! Which tags the store of a cache may resolve.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::{RepositoryName, Tag};

/// How many tags are remembered before those that have expired are forgotten.
const REMEMBERED: usize = 10_000;

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

#[derive(Debug, Default)]
struct Known {
    tags: HashMap<(RepositoryName, Tag), State>,
    last: u64,
}

#[derive(Debug)]
struct State {
    /// The ticket of the last result, or of the last move.
    ticket: Ticket,
    at: Instant,
    /// Whether the store resolves it.
    is_resolved: bool,
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
            known: Mutex::default(),
            setting: Default::default(),
            hasher: RandomState::new(),
        }
    }

    /// Returns whether the tag was resolved within the time to live.
    pub(super) fn is_fresh(&self, name: &RepositoryName, tag: &Tag) -> bool {
        let known = self.lock();
        let state = known.tags.get(&(name.clone(), tag.clone()));
        state.is_some_and(|state| state.is_resolved && state.at.elapsed() < self.ttl)
    }

    /// Returns whether the store resolved the tag since the upstream was down.
    pub(super) fn is_stale(&self, name: &RepositoryName, tag: &Tag) -> bool {
        let known = self.lock();
        let state = known.tags.get(&(name.clone(), tag.clone()));
        state.is_some_and(|state| state.is_resolved && state.is_stale)
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
        let known = self.lock();
        let last = known.tags.get(&(name.clone(), tag.clone()));
        last.is_none_or(|last| last.ticket < ticket).then_some(turn)
    }

    /// Remembers that the store resolves the tag as the request with this ticket did.
    pub(super) fn resolved(&self, name: &RepositoryName, tag: &Tag, ticket: Ticket) {
        self.lock()
            .note((name.clone(), tag.clone()), ticket, true, self.ttl);
    }

    /// Forgets the tag, which does not exist for the request with this ticket.
    pub(super) fn missing(&self, name: &RepositoryName, tag: &Tag, ticket: Ticket) {
        self.lock()
            .note((name.clone(), tag.clone()), ticket, false, self.ttl);
    }

    /// Lets the store resolve the tag for another time to live, since the upstream is down. Responses to requests
    /// that have begun still count.
    pub(super) fn extend(&self, name: &RepositoryName, tag: &Tag) {
        let mut known = self.lock();
        let key = (name.clone(), tag.clone());
        let ticket = known.tags.get(&key).map_or(Ticket(0), |state| state.ticket);
        if let Some(state) = known.tags.get_mut(&key) {
            state.at = Instant::now();
            state.is_resolved = true;
            state.is_stale = true;
        } else {
            known.note(key.clone(), ticket, true, self.ttl);
            if let Some(state) = known.tags.get_mut(&key) {
                state.is_stale = true;
            }
        }
    }

    /// Forgets the tag, which was moved: requests that have begun may have the earlier target.
    pub(super) fn moved(&self, name: &RepositoryName, tag: &Tag) {
        let mut known = self.lock();
        let ticket = known.next();
        known.note((name.clone(), tag.clone()), ticket, false, self.ttl);
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

    fn note(
        &mut self,
        key: (RepositoryName, Tag),
        ticket: Ticket,
        is_resolved: bool,
        ttl: Duration,
    ) {
        if self.tags.len() >= REMEMBERED {
            self.tags.retain(|_, state| state.at.elapsed() < ttl);
        }
        let is_known = self.tags.get(&key).map(|state| state.ticket < ticket);
        // A tag that was moved replaces another one: a request that has begun must see it.
        if is_known.unwrap_or(self.tags.len() < REMEMBERED || !is_resolved) {
            let state = State {
                ticket,
                at: Instant::now(),
                is_resolved,
                is_stale: false,
            };
            self.tags.insert(key, state);
        }
    }
}
