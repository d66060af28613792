//! Removes blobs that nothing refers to, under a lease.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{Digest, Result, blocking};

use super::detached::run_detached;
use super::index::{BaseIndex, ObjectVersion, lists_something, read, replace, too_many_conflicts};
use super::layout::ObjectLayout;
use super::lease_wait::{LeaseWait, wait_for_lease};
use super::leased_index::LeasedIndex;
use super::recent_blobs::LEAST_GRACE;
use super::stored::age;
use super::update::REQUESTS;
use crate::driver::{IndexContent, Stored, StoredName, Sweep, SweepPlan, Swept};

/// How many attempts may fail because another writer changes the index before the lease is written.
const MAX_ATTEMPTS: u32 = 100;

/// How many blobs are removed before the lease is renewed.
const BLOBS_PER_LEASE: usize = 64;

/// Removes the blobs that `plan` returns.
pub(super) async fn sweep(
    layout: &Arc<ObjectLayout>,
    known: Option<ObjectVersion>,
    limit: u64,
    min_age: Duration,
    mut plan: SweepPlan,
) -> Result<Swept<ObjectVersion>> {
    let is_conditional = layout.requires_conditions().await?;
    let mut lease_wait = LeaseWait::new();
    let mut attempts = 0;
    while attempts < MAX_ATTEMPTS {
        let found = read(layout, known.as_ref(), limit).await?;
        if is_conditional && wait_for_lease(layout, &found, &mut lease_wait, limit).await? {
            continue;
        }
        attempts += 1;
        let (returned, found, planned) = blocking::run(move || {
            let planned = plan(found.state())?;
            Ok((plan, found, planned))
        })
        .await?;
        plan = returned;
        let Sweep { content, remove } = planned;
        let content = content.map(IndexContent::into_bytes);
        let base = BaseIndex::new(found, is_conditional);
        if remove.is_empty() {
            let version = match content {
                None => base.version().cloned(),
                Some(content) => match replace(layout, &content, base.put_mode()).await? {
                    Some(at) => Some(ObjectVersion::new(at, &content, false)),
                    None => continue,
                },
            };
            let removed = Vec::new();
            return Ok(Swept { version, removed });
        }
        let content = match content {
            Some(content) => content,
            None => match base.content(layout, limit).await? {
                Some(content) => content,
                None => continue,
            },
        };
        let empty_since = empty_since(layout, &base, &content).await?;
        let (layout, mode) = (Arc::clone(layout), base.put_mode());
        // If it were interrupted, other writers would have to wait for the lease to expire.
        let swept = run_detached(async move {
            let Some(mut leased) = LeasedIndex::write(&layout, content, mode).await? else {
                return Ok(None);
            };
            let min_age = min_age.max(LEAST_GRACE);
            let removed = remove_old(&layout, &mut leased, remove, min_age, empty_since).await;
            let version = Some(leased.release().await);
            let removed = removed?;
            Ok(Some(Swept { version, removed }))
        })
        .await?;
        if let Some(swept) = swept {
            return Ok(swept);
        }
    }
    Err(too_many_conflicts(layout))
}

/// Returns since when the index has listed nothing, if it does so in the state `base` and as `content`.
async fn empty_since(
    layout: &ObjectLayout,
    base: &BaseIndex,
    content: &[u8],
) -> Result<Option<SystemTime>> {
    let (Some(version), Some(_)) = (base.version(), &layout.membership) else {
        return Ok(None);
    };
    if version.lists_something || lists_something(content) {
        return Ok(None);
    }
    let found = layout.bucket.head(&layout.keys.index()).await?;
    let found = found.filter(|found| found.e_tag == version.at.e_tag);
    Ok(found.map(|found| found.last_modified.into()))
}

async fn remove_old(
    layout: &ObjectLayout,
    leased: &mut LeasedIndex,
    blobs: Vec<Digest>,
    min_age: Duration,
    empty_since: Option<SystemTime>,
) -> Result<Vec<Stored>> {
    // The index has just been written, so its date is the current time by the store's clock.
    let index = layout.bucket.head(&layout.keys.index()).await?;
    let now = index.map_or_else(SystemTime::now, |index| index.last_modified.into());
    let mut removed = Vec::new();
    for blobs in blobs.chunks(BLOBS_PER_LEASE) {
        leased.renew().await?;
        let removing = stream::iter(blobs.to_vec())
            .map(|digest| remove_if_old(layout, digest, now, min_age))
            .buffer_unordered(REQUESTS)
            .try_filter_map(|stored| async move { Ok(stored) })
            .try_collect::<Vec<_>>();
        removed.extend(leased.within_lease(removing).await?);
    }
    if let (Some(since), Some(membership)) = (empty_since, &layout.membership) {
        let removing = membership.remove_if_empty(since, now);
        // If this fails, the next rebuild of the catalog corrects it.
        let _ = leased.within_lease(removing).await;
    }
    Ok(removed)
}

async fn remove_if_old(
    layout: &ObjectLayout,
    digest: Digest,
    now: SystemTime,
    min_age: Duration,
) -> Result<Option<Stored>> {
    let key = layout.keys.blob(&digest);
    let Some(found) = layout.bucket.head(&key).await? else {
        return Ok(None);
    };
    let age = age(&found, now);
    if age < min_age {
        return Ok(None);
    }
    layout.recent.forget(&digest);
    layout.bucket.delete(&key).await?;
    Ok(Some(Stored {
        name: StoredName::Blob(digest),
        size: found.size,
        age,
        is_shared: false,
    }))
}
