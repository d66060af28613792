//! A lease while it is ours.

use std::sync::Arc;

use bytes::Bytes;
use object_store::{PutMode, UpdateVersion};
use tokio::time::Instant;
use tranship::{Error, ErrorKind, Result};

use super::index::{ObjectVersion, replace, version_at};
use super::lease;
use super::place::Place;

/// The right to change the index, until it is given back. Without conditions nobody else writes, and
/// there is nothing to hold.
pub(super) struct Held {
    place: Arc<Place>,
    /// The index without the lease.
    content: Bytes,
    at: UpdateVersion,
    is_leased: bool,
    until: Instant,
}

impl Held {
    /// Makes `content` the index, with a lease; `None` if the condition of `mode` does not hold.
    pub(super) async fn take(
        place: &Arc<Place>,
        content: Bytes,
        mode: PutMode,
    ) -> Result<Option<Self>> {
        let is_leased = mode != PutMode::Overwrite;
        let until = Instant::now() + lease::USE;
        let written = if is_leased {
            lease::add(&content, &lease::holder()?)?
        } else {
            content.clone()
        };
        let at = replace(place, &written, mode).await?;
        Ok(at.map(|at| Self {
            place: Arc::clone(place),
            content,
            at,
            is_leased,
            until,
        }))
    }

    /// Takes the lease for as long again, if half of its time is over.
    ///
    /// # Errors
    /// `Conflict` if somebody has ended it.
    pub(super) async fn prolong(&mut self) -> Result<()> {
        let now = Instant::now();
        if !self.is_leased || now + lease::USE / 2 < self.until {
            return Ok(());
        }
        let leased = lease::add(&self.content, &lease::holder()?)?;
        let mode = PutMode::Update(self.at.clone());
        match replace(&self.place, &leased, mode).await? {
            Some(at) => {
                self.at = at;
                self.until = now + lease::USE;
                Ok(())
            }
            None => Err(Error::new(
                ErrorKind::Conflict,
                "somebody changed the index while content was removed",
            )
            .with_retryable(true)),
        }
    }

    /// Does `work`, as far as it gets while the lease is safe.
    ///
    /// # Errors
    /// `Timeout` if that was not far enough.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let done = tokio::time::timeout_at(self.until, work).await;
        done.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Timeout,
                "is not listed any more, but could not be removed in time",
            )
            .with_subject(self.place.bucket.url().of(self.place.prefix()))
            .with_hint("collecting garbage removes it"))
        })
    }

    /// Lets others write again, and answers the state of the index.
    ///
    /// If that fails, the change is made all the same: others wait until the lease has run out.
    pub(super) async fn give_back(self) -> ObjectVersion {
        if !self.is_leased {
            return version_at(self.at, false);
        }
        let mode = PutMode::Update(self.at.clone());
        match replace(&self.place, &self.content, mode).await {
            Ok(Some(at)) => version_at(at, false),
            Ok(None) | Err(_) => version_at(self.at, true),
        }
    }
}
