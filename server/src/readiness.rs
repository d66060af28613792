//! Whether the storage works: `/readyz`.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tokio::sync::Mutex;
use tranship::{Error, ErrorKind, ListOptions, Registry, Result};

/// How long a result is reused. Several probes, and clients that are not probes, cause one check in this time.
const REUSE: Duration = Duration::from_secs(2);

/// The last check of the storage.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<Option<(Instant, bool)>>);

impl Readiness {
    /// Returns whether the storage of `registry` responds within `timeout`. One check runs at a time, and callers that
    /// arrive in between wait for its result.
    pub(crate) async fn check(&self, registry: &dyn Registry, timeout: Duration) -> bool {
        let mut last = self.0.lock().await;
        if let Some((at, is_ready)) = *last
            && at.elapsed() < REUSE
        {
            return is_ready;
        }
        let checked = tokio::time::timeout(timeout, list(registry)).await;
        let is_ready = match checked {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(%error, "not ready: the storage reports an error");
                false
            }
            Err(_) => {
                tracing::warn!(?timeout, "not ready: the storage does not respond");
                false
            }
        };
        *last = Some((Instant::now(), is_ready));
        is_ready
    }
}

/// Lists one repository: one directory of a disk, or one request to a bucket. There need not be any.
async fn list(registry: &dyn Registry) -> Result<()> {
    let options = ListOptions::default().with_page_size(1);
    match registry.repositories(options).next().await {
        // Nothing can be learned from a registry without a catalog, and it is not broken.
        Some(Err(error)) if error.kind() != ErrorKind::Unsupported => Err::<(), Error>(error),
        _ => Ok(()),
    }
}
