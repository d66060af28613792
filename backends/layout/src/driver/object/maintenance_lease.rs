//! The lease of the process that does the maintenance of a registry in a store.
//!
//! An object names the holder. It is replaced only on the condition that it has not changed, and the holder replaces it
//! regularly. A contender that has seen one state of the object for longer than a holder may take replaces it, too. Each
//! process measures that time with its own clock, so the clocks need not agree.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, PutMode, UpdateVersion};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tranship::{Error, ErrorKind, Result, encode_json};

use super::bucket::{Bucket, version_of};
use super::keys::{ObjectKeys, maintenance_lease};
use super::lease::{HOLD_LIMIT, TTL, random_holder};
use crate::driver::{Contender, Tenure};

/// The largest object that is read, in bytes.
const MAX_SIZE: u64 = 4096;

/// The pause after a renewal that has failed.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The content of the object. Each state of a holder has another random name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeaseObject {
    /// `None` after the holder has finished.
    holder: Option<String>,
    /// The time in seconds after which a state that has not changed may be replaced.
    expires_after: u64,
}

impl LeaseObject {
    fn encode(holder: Option<String>) -> Result<Bytes> {
        encode_json(&Self {
            holder,
            expires_after: TTL.as_secs(),
        })
    }
}

/// A process that has no lease yet.
#[derive(Debug)]
pub(super) struct ObjectContender {
    bucket: Arc<Bucket>,
    key: Path,
    probe: Path,
    /// The last state of another holder, and when it was first seen.
    seen: Mutex<Option<(UpdateVersion, Instant)>>,
}

impl ObjectContender {
    pub(super) fn new(bucket: Arc<Bucket>, prefix: &Path) -> Self {
        Self {
            bucket,
            key: maintenance_lease(prefix),
            probe: ObjectKeys::new(prefix.clone()).probe(),
            seen: Mutex::default(),
        }
    }

    /// Returns the condition under which the lease can be taken; `None` if another process has it.
    async fn condition(&self) -> Result<Option<PutMode>> {
        let Some(found) = self.bucket.get(&self.key, GetOptions::default()).await? else {
            return Ok(Some(PutMode::Create));
        };
        let at = version_of(&found.meta);
        let content = self.bucket.content(&self.key, found, MAX_SIZE).await?;
        let lease = serde_json::from_slice(&content);
        let is_free = lease.is_ok_and(|lease: LeaseObject| lease.holder.is_none());
        let can_replace = is_free || self.has_expired(&at);
        Ok(can_replace.then_some(PutMode::Update(at)))
    }

    fn has_expired(&self, at: &UpdateVersion) -> bool {
        let now = Instant::now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match &*seen {
            Some((version, since)) if version == at => now.duration_since(*since) > TTL,
            _ => {
                *seen = Some((at.clone(), now));
                false
            }
        }
    }
}

#[async_trait]
impl Contender for ObjectContender {
    async fn acquire(&self) -> Result<Option<Box<dyn Tenure>>> {
        if !self.bucket.requires_conditions(&self.probe).await? {
            // The caller makes sure that there is only one process.
            return Ok(Some(Box::new(Unconditional)));
        }
        let Some(mode) = self.condition().await? else {
            return Ok(None);
        };
        let until = Instant::now() + HOLD_LIMIT;
        let content = LeaseObject::encode(Some(random_holder()?))?;
        let at = self.bucket.replace(&self.key, &content, mode).await?;
        Ok(at.map(|at| -> Box<dyn Tenure> {
            Box::new(ObjectLease {
                bucket: Arc::clone(&self.bucket),
                key: self.key.clone(),
                at,
                until,
            })
        }))
    }
}

/// The lease. If it is dropped, other processes take it over after [`TTL`].
#[derive(Debug)]
struct ObjectLease {
    bucket: Arc<Bucket>,
    key: Path,
    at: UpdateVersion,
    /// When this process must stop.
    until: Instant,
}

impl ObjectLease {
    /// Renews the lease, and returns whether it was still ours.
    async fn renew(&mut self) -> Result<bool> {
        let until = Instant::now() + HOLD_LIMIT;
        let content = LeaseObject::encode(Some(random_holder()?))?;
        let mode = PutMode::Update(self.at.clone());
        let Some(at) = self.bucket.replace(&self.key, &content, mode).await? else {
            return Ok(false);
        };
        (self.at, self.until) = (at, until);
        Ok(true)
    }
}

#[async_trait]
impl Tenure for ObjectLease {
    async fn keep(&mut self) -> Error {
        let mut failure: Option<Error> = None;
        loop {
            let until = self.until;
            let next = match failure {
                None => until - HOLD_LIMIT / 2,
                Some(_) => Instant::now() + RETRY_PAUSE,
            };
            tokio::time::sleep_until(next.min(until)).await;
            // A renewal that fails at once would win against the end of the time.
            if Instant::now() >= until {
                return not_renewed(failure);
            }
            failure = match tokio::time::timeout_at(until, self.renew()).await {
                Ok(Ok(true)) => None,
                Ok(Ok(false)) => return lost("another server has taken it over"),
                Ok(Err(error)) => Some(error),
                Err(_) => return not_renewed(failure),
            };
        }
    }

    /// A failure leaves the lease to others after [`TTL`].
    async fn release(self: Box<Self>) {
        if let Ok(content) = LeaseObject::encode(None) {
            let mode = PutMode::Update(self.at);
            let _ = self.bucket.put_if(&self.key, content.into(), mode).await;
        }
    }
}

/// The lease in a store without conditions, which one process uses.
#[derive(Debug)]
struct Unconditional;

#[async_trait]
impl Tenure for Unconditional {}

fn not_renewed(failure: Option<Error>) -> Error {
    let lost = lost("it could not be renewed in time");
    match failure {
        Some(failure) => lost.with_source(failure),
        None => lost,
    }
}

fn lost(why: &str) -> Error {
    let message = format!("the lease for the maintenance was lost: {why}");
    Error::new(ErrorKind::Conflict, message).with_retryable(true)
}
