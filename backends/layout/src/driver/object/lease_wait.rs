//! Waits for the leases of others.

use std::time::Duration;

use object_store::{PutMode, UpdateVersion};
use tokio::time::Instant;
use tranship::{Error, ErrorKind, Result, blocking};

use super::backoff::Backoff;
use super::index::{Read, read, replace};
use super::lease::{self, TTL};
use super::place::Place;
use crate::driver::IndexRead;

/// How long leases that change hands are waited for.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Waits for the leases of others.
#[derive(Debug)]
pub(super) struct Waiting {
    began: Instant,
    seen: Option<(UpdateVersion, Instant)>,
    backoff: Backoff,
}

impl Waiting {
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

    /// Whether the lease in the state `at` of the index has run out. If it has not, some time has
    /// passed and the index is to be read again.
    ///
    /// # Errors
    /// `Conflict` if there has been one lease after the other for too long.
    pub(super) async fn has_run_out(&mut self, at: &UpdateVersion) -> Result<bool> {
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
        if now.duration_since(self.began) > PATIENCE {
            return Err(Error::new(
                ErrorKind::Conflict,
                "somebody removes content, and keeps others from writing meanwhile",
            )
            .with_retryable(true)
            .with_hint("garbage is being collected; try again when that has ended"));
        }
        self.backoff.pause().await;
        Ok(false)
    }
}

/// Waits a while if somebody wants that the index is not changed, which is to be read again then. If
/// that has been so for too long, it is put to an end.
pub(super) async fn wait_for_lease(
    place: &Place,
    found: &Read,
    waiting: &mut Waiting,
    limit: u64,
) -> Result<bool> {
    let Some(leased) = found.version().filter(|version| version.is_leased) else {
        return Ok(false);
    };
    if waiting.has_run_out(&leased.at).await?
        && let IndexRead::Read(content, version) = read(place, None, limit).await?
        && version.at == leased.at
    {
        let content = blocking::run(move || lease::remove(&content)).await?;
        // Somebody else may do the same.
        replace(place, &content, PutMode::Update(leased.at.clone())).await?;
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
        let (mut waiting, began) = (Waiting::new(), Instant::now());
        while !waiting.has_run_out(&version("1")).await.expect("patience") {}
        assert!(began.elapsed() > TTL);
        assert!(began.elapsed() < TTL + Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_prolonged_is_waited_for_but_not_for_ever() {
        let (mut waiting, began) = (Waiting::new(), Instant::now());
        let error = loop {
            let prolonged = version(&(began.elapsed().as_secs() / 20).to_string());
            match waiting.has_run_out(&prolonged).await {
                Ok(run_out) => assert!(!run_out),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.is_retryable());
        assert!(began.elapsed() > PATIENCE);
    }
}
