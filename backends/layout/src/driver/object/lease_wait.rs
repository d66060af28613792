//! Waits for the leases of other processes.

use std::time::Duration;

use object_store::{PutMode, UpdateVersion};
use tokio::time::Instant;
use tranship::{Error, ErrorKind, Result, blocking};

use super::backoff::Backoff;
use super::index::{ObjectIndexRead, read, replace};
use super::layout::ObjectLayout;
use super::lease::{self, TTL};
use crate::driver::IndexRead;

/// How long a writer waits while one lease follows the other.
const MAX_WAIT: Duration = Duration::from_secs(15 * 60);

/// The time that a writer has waited for leases.
#[derive(Debug)]
pub(super) struct LeaseWait {
    began: Instant,
    seen: Option<(UpdateVersion, Instant)>,
    backoff: Backoff,
}

impl LeaseWait {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            seen: None,
            backoff: Self::backoff(),
        }
    }

    fn backoff() -> Backoff {
        Backoff::new(Duration::from_millis(20), Duration::from_secs(2))
    }

    /// Returns whether the lease in the state `at` of the index has expired. If it has not, this returns after a pause,
    /// and the index has to be read again.
    ///
    /// # Errors
    /// `Conflict` if one lease has followed the other for too long.
    async fn is_expired(&mut self, at: &UpdateVersion) -> Result<bool> {
        let now = Instant::now();
        match &self.seen {
            Some((seen, since)) if seen == at => {
                if now.duration_since(*since) > TTL {
                    return Ok(true);
                }
            }
            _ => {
                self.seen = Some((at.clone(), now));
                self.backoff = Self::backoff();
            }
        }
        if now.duration_since(self.began) > MAX_WAIT {
            return Err(Error::new(
                ErrorKind::Conflict,
                "another process removes content, and lets no other process write until it has finished",
            )
            .with_retryable(true)
            .with_hint("garbage is being collected; try again when that has ended"));
        }
        self.backoff.pause().await;
        Ok(false)
    }
}

/// If the index has a lease, waits a while and returns `true`: the index has to be read again. Removes a lease that has
/// expired.
pub(super) async fn wait_for_lease(
    layout: &ObjectLayout,
    found: &ObjectIndexRead,
    wait: &mut LeaseWait,
    limit: u64,
) -> Result<bool> {
    let Some(leased) = found.version().filter(|version| version.is_leased) else {
        return Ok(false);
    };
    if wait.is_expired(&leased.at).await?
        && let IndexRead::Read(content, version) = read(layout, None, limit).await?
        && version.at == leased.at
    {
        let content = blocking::run(move || lease::remove(&content)).await?;
        // Another process may have removed it first, so the result does not matter.
        replace(layout, &content, PutMode::Update(leased.at.clone())).await?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(e_tag: &str) -> UpdateVersion {
        UpdateVersion {
            e_tag: Some(e_tag.to_owned()),
            version: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_stays_the_same_runs_out() {
        let (mut waiting, began) = (LeaseWait::new(), Instant::now());
        while !waiting.is_expired(&version("1")).await.expect("patience") {}
        assert!(began.elapsed() > TTL);
        assert!(began.elapsed() < TTL + Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_prolonged_is_waited_for_but_not_for_ever() {
        let (mut waiting, began) = (LeaseWait::new(), Instant::now());
        let error = loop {
            let prolonged = version(&(began.elapsed().as_secs() / 20).to_string());
            match waiting.is_expired(&prolonged).await {
                Ok(run_out) => assert!(!run_out),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.is_retryable());
        assert!(began.elapsed() > MAX_WAIT);
    }
}
