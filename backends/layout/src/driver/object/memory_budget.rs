//! The memory that pushes may use for the parts of large objects.
//!
//! An object store accepts a large object in parts of 5 MiB or more, and each part is in memory until the store has it.
//! All pushes to a store share one budget. A push reserves memory before it reads a part, and drops the reservation when
//! the part has been sent. If the budget is used up, a push waits, and does not read from its source. No push waits while
//! it has a reservation, so the wait ends.
//!
//! A source that hangs does not block other pushes: after a few seconds it loses its reservation. So the memory in use can
//! exceed the budget by one part for each source that hangs, and by no more.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The unit of the budget, in bytes.
const UNIT: u64 = 1024;

/// A budget of memory.
#[derive(Debug)]
pub(super) struct MemoryBudget {
    permits: Arc<Semaphore>,
    units: u32,
}

/// A part of the budget, until it is dropped.
#[derive(Debug, Clone)]
pub(super) struct Reservation(
    #[allow(dead_code, reason = "only dropped, never read")] Option<Arc<OwnedSemaphorePermit>>,
);

impl MemoryBudget {
    /// Returns a budget of `bytes`.
    pub(super) fn new(bytes: u64) -> Self {
        let units = units(bytes).max(1);
        Self {
            permits: Arc::new(Semaphore::new(units as usize)),
            units,
        }
    }

    /// Waits for `bytes`, or for the whole budget if that is less.
    pub(super) async fn reserve(&self, bytes: u64) -> Reservation {
        let units = units(bytes).min(self.units);
        let permit = Arc::clone(&self.permits).acquire_many_owned(units).await;
        // The semaphore is never closed.
        Reservation(permit.ok().map(Arc::new))
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX >> 4)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_reservation_waits_until_others_are_dropped() {
        let memory = MemoryBudget::new(10 * UNIT);
        let one = memory.reserve(6 * UNIT).await;
        let mut two = Box::pin(memory.reserve(6 * UNIT));
        assert!(two.as_mut().now_or_never().is_none());
        drop(one);
        let _two = two.await;
        // A reservation of more than the budget is one of the whole budget.
        assert!(memory.reserve(u64::MAX).now_or_never().is_none());
    }
}
