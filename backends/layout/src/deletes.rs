//! One delete of the same content at a time.

use tokio::sync::{Mutex, MutexGuard};
use tranship::Digest;

/// How many deletes of a layout run at the same time, at most.
const DELETES: usize = 16;

/// The deletes of manifests or blobs of one layout: one at a time of each, by a part of its digest. Otherwise several
/// callers would be told that they have deleted it. Two processes that delete the same content at the same time may both
/// succeed.
#[derive(Debug, Default)]
pub(crate) struct Deletes([Mutex<()>; DELETES]);

impl Deletes {
    /// Waits until no other task deletes the content. Dropping the future gives the turn up.
    pub(crate) async fn lock(&self, digest: &Digest) -> MutexGuard<'_, ()> {
        let slot = digest
            .as_bytes()
            .first()
            .map_or(0, |byte| usize::from(*byte));
        self.0[slot % DELETES].lock().await
    }
}
