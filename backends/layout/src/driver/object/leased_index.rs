//! The index while this process holds its lease.

use std::sync::Arc;

use bytes::Bytes;
use object_store::{PutMode, UpdateVersion};
use tokio::time::Instant;
use tranship::{Error, ErrorKind, Result};

use super::index::{ObjectVersion, replace};
use super::layout::ObjectLayout;
use super::lease;

/// An index that no other process changes until it is [released](Self::release). In a store without conditions there is
/// no other writer, and so no lease.
pub(super) struct LeasedIndex {
    layout: Arc<ObjectLayout>,
    /// The index without the lease.
    content: Bytes,
    at: UpdateVersion,
    is_leased: bool,
    until: Instant,
}

impl LeasedIndex {
    /// Writes `content` as the index, with a lease; returns `None` if the condition of `mode` does not hold.
    pub(super) async fn write(
        layout: &Arc<ObjectLayout>,
        content: Bytes,
        mode: PutMode,
    ) -> Result<Option<Self>> {
        let is_leased = mode != PutMode::Overwrite;
        let until = Instant::now() + lease::HOLD_LIMIT;
        let written = if is_leased {
            lease::add(&content, &lease::random_holder()?)?
        } else {
            content.clone()
        };
        let at = replace(layout, &written, mode).await?;
        Ok(at.map(|at| Self {
            layout: Arc::clone(layout),
            content,
            at,
            is_leased,
            until,
        }))
    }

    /// Renews the lease if half of its time has passed.
    ///
    /// # Errors
    /// `Conflict` if another process has removed it.
    pub(super) async fn renew(&mut self) -> Result<()> {
        let now = Instant::now();
        if !self.is_leased || now + lease::HOLD_LIMIT / 2 < self.until {
            return Ok(());
        }
        let leased = lease::add(&self.content, &lease::random_holder()?)?;
        let mode = PutMode::Update(self.at.clone());
        match replace(&self.layout, &leased, mode).await? {
            Some(at) => {
                self.at = at;
                self.until = now + lease::HOLD_LIMIT;
                Ok(())
            }
            None => Err(Error::new(
                ErrorKind::Conflict,
                "another process changed the index while content was removed",
            )
            .with_retryable(true)),
        }
    }

    /// Runs `work`, and drops it when the lease is no longer safe.
    ///
    /// # Errors
    /// `Timeout` if it was dropped.
    pub(super) async fn within_lease<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let done = tokio::time::timeout_at(self.until, work).await;
        done.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Timeout,
                "is not listed any more, but could not be removed in time",
            )
            .with_subject(self.layout.bucket.url().of(self.layout.keys.prefix()))
            .with_hint("collecting garbage removes it"))
        })
    }

    /// Removes the lease, so that other processes can change the index, and returns the version of the index.
    ///
    /// A failure does not undo the change: other writers wait until the lease has expired.
    pub(super) async fn release(self) -> ObjectVersion {
        if !self.is_leased {
            return ObjectVersion::new(self.at, &self.content, false);
        }
        let mode = PutMode::Update(self.at.clone());
        match replace(&self.layout, &self.content, mode).await {
            Ok(Some(at)) => ObjectVersion::new(at, &self.content, false),
            Ok(None) | Err(_) => ObjectVersion::new(self.at, &self.content, true),
        }
    }
}
