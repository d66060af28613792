//! The bytes of one repository.

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
