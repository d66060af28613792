//! The bytes of one repository.

use std::collections::HashMap;

use crate::Digest;

/// The bytes of one repository.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// The bytes of stored content.
    pub(super) stored: u64,
    /// The bytes of pushes in progress.
    pub(super) reserved: u64,
    /// How many counts of the repository have begun.
    counts: u64,
    /// The bytes that were stored since the last count has begun.
    stored_in_count: u64,
    /// The content that is being pushed.
    pushes: HashMap<Digest, Pushes>,
}

/// The pushes of one digest that run at the same time.
#[derive(Debug, Default)]
struct Pushes {
    running: usize,
    is_counted: bool,
}

impl Account {
    pub(super) fn used(&self) -> u64 {
        self.stored.saturating_add(self.reserved)
    }

    pub(super) fn store(&mut self, bytes: u64) {
        self.reserved = self.reserved.saturating_sub(bytes);
        self.stored = self.stored.saturating_add(bytes);
        self.stored_in_count = self.stored_in_count.saturating_add(bytes);
    }

    pub(super) fn begin_push(&mut self, digest: &Digest) {
        self.pushes.entry(*digest).or_default().running += 1;
    }

    /// Ends a push, and returns whether its content counts.
    pub(super) fn end_push(&mut self, digest: &Digest, is_new: bool) -> bool {
        let Some(pushes) = self.pushes.get_mut(digest) else {
            return is_new;
        };
        let counts = is_new && !pushes.is_counted;
        pushes.is_counted |= is_new;
        pushes.running -= 1;
        if pushes.running == 0 {
            self.pushes.remove(digest);
        }
        counts
    }

    /// Begins a count, and returns its number.
    pub(super) fn begin_count(&mut self) -> u64 {
        self.counts += 1;
        self.stored_in_count = 0;
        self.counts
    }

    /// Takes `counted` for the stored bytes when the count began. Content stored during the count may be in it or not,
    /// and is added, so that the result is not too small. Returns whether it is exact, or a later count has begun, in
    /// which case this one does nothing.
    pub(super) fn end_count(&mut self, count: u64, counted: u64) -> bool {
        if count != self.counts {
            return true;
        }
        self.stored = counted.saturating_add(self.stored_in_count);
        self.stored_in_count == 0
    }
}
