//! The right to do the maintenance of a registry, which one process has at a time.

use std::pin::pin;

use futures_util::future::{Either, select};
use tranship::{Error, Result};

use crate::driver::Contender;
use crate::registry::LayoutRegistry;

/// The lease under which one of several processes does the maintenance of a [`LayoutRegistry`], such as retention and
/// garbage collection.
///
/// On a disk it is a lock on the file `.tranship/lock-upkeep` in the root, which the system releases when the process
/// dies. In an object store it is the object `.tranship/lease-upkeep.json` below the prefix, which is only replaced if it
/// has not changed. Its holder renews it every 15 seconds. If it does not change for a minute, another process takes it
/// over; each process measures this time with its own clock. Keep one value for all attempts, since it remembers what the
/// last attempt has seen.
///
/// The lease does not protect data: garbage collection is safe without it, and work that several processes do at the same
/// time is only done twice.
#[derive(Debug)]
pub struct MaintenanceLease {
    contender: Box<dyn Contender>,
}

impl LayoutRegistry {
    /// Returns the lease for the maintenance of this registry, without acquiring it.
    #[must_use]
    pub fn maintenance_lease(&self) -> MaintenanceLease {
        MaintenanceLease {
            contender: self.driver().contender(),
        }
    }
}

impl MaintenanceLease {
    /// Runs `work` while no other process has the lease, and returns its result; `None` without running it if another
    /// process has the lease.
    ///
    /// `work` is dropped if the lease is lost. If the returned future is dropped, the lease ends with it on a disk. In an
    /// object store another process can take it over a minute later.
    ///
    /// # Errors
    /// - [`Unsupported`](tranship::ErrorKind::Unsupported) if the file system cannot lock files, or the store has no
    ///   conditional PUT. [`LayoutOptions::with_unconditional_put`](crate::LayoutOptions::with_unconditional_put) allows
    ///   such a store, and each caller then runs its work at once.
    /// - [`Conflict`](tranship::ErrorKind::Conflict) if the lease was lost, so that `work` has not finished.
    /// - Any error of the disk or the store.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Result<Option<T>> {
        let acquired = self.contender.acquire().await;
        let failed = |error: Error| error.with_operation("acquire the lease for the maintenance");
        let Some(mut tenure) = acquired.map_err(failed)? else {
            return Ok(None);
        };
        let ended = match select(pin!(work), tenure.keep()).await {
            Either::Left((result, _)) => Ok(result),
            Either::Right((lost, _)) => Err(lost),
        };
        tenure.release().await;
        ended.map(Some)
    }
}
