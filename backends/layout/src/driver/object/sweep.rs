//! Removes blobs that nobody refers to, under a lease.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{Digest, Result, blocking};

use super::detached::to_its_end;
use super::index::{Base, ObjectVersion, as_it_is, read, replace, too_often, version_at};
use super::lease_wait::{Waiting, wait_for_lease};
use super::leased_index::Held;
use super::place::Place;
use super::recent::LEAST_GRACE;
use super::stored::age;
use super::update::REQUESTS;
use crate::driver::{Stored, StoredName, Sweep, SweepPlan, Swept};

/// How often the index may change between reading it and taking the lease.
const MAX_ATTEMPTS: u32 = 100;

/// How many blobs are removed before it is seen to that the lease still holds.
const PORTION: usize = 64;

/// Removes what `plan` says.
pub(super) async fn sweep(
    place: &Arc<Place>,
    known: Option<ObjectVersion>,
    limit: u64,
    min_age: Duration,
    mut plan: SweepPlan,
) -> Result<Swept<ObjectVersion>> {
    let keeps_conditions = place.must_keep_conditions().await?;
    let mut waiting = Waiting::new();
    let mut attempts = 0;
    while attempts < MAX_ATTEMPTS {
        let found = read(place, known.as_ref(), limit).await?;
        if keeps_conditions && wait_for_lease(place, &found, &mut waiting, limit).await? {
            continue;
        }
        attempts += 1;
        let (returned, found, wanted) = blocking::run(move || {
            let wanted = plan(found.state())?;
            Ok((plan, found, wanted))
        })
        .await?;
        plan = returned;
        let Sweep { content, remove } = wanted;
        let base = Base::new(found, keeps_conditions);
        if remove.is_empty() {
            let version = match content {
                None => base.version().cloned(),
                Some(content) => match replace(place, &content, base.mode()).await? {
                    Some(at) => Some(version_at(at, false)),
                    None => continue,
                },
            };
            let removed = Vec::new();
            return Ok(Swept { version, removed });
        }
        let content = match content {
            Some(content) => content,
            None => match as_it_is(place, &base, limit).await? {
                Some(content) => content,
                None => continue,
            },
        };
        let (place, mode) = (Arc::clone(place), base.mode());
        // Half done, it would keep other writers waiting.
        let swept = to_its_end(async move {
            let Some(mut held) = Held::take(&place, content, mode).await? else {
                return Ok(None);
            };
            let removed = remove_old(&place, &mut held, remove, min_age.max(LEAST_GRACE)).await;
            let version = Some(held.give_back().await);
            let removed = removed?;
            Ok(Some(Swept { version, removed }))
        })
        .await?;
        if let Some(swept) = swept {
            return Ok(swept);
        }
    }
    Err(too_often(place))
}

async fn remove_old(
    place: &Place,
    held: &mut Held,
    blobs: Vec<Digest>,
    min_age: Duration,
) -> Result<Vec<Stored>> {
    // The store has just written this, so it tells the time by the store's own clock.
    let index = place.bucket.head(&place.index()).await?;
    let now = index.map_or_else(SystemTime::now, |index| index.last_modified.into());
    let mut removed = Vec::new();
    for portion in blobs.chunks(PORTION) {
        held.prolong().await?;
        let removing = stream::iter(portion.to_vec())
            .map(|digest| remove_if_old(place, digest, now, min_age))
            .buffer_unordered(REQUESTS)
            .try_filter_map(|stored| async move { Ok(stored) })
            .try_collect::<Vec<_>>();
        removed.extend(held.in_time(removing).await?);
    }
    Ok(removed)
}

async fn remove_if_old(
    place: &Place,
    digest: Digest,
    now: SystemTime,
    min_age: Duration,
) -> Result<Option<Stored>> {
    let key = place.blob(&digest);
    let Some(found) = place.bucket.head(&key).await? else {
        return Ok(None);
    };
    let age = age(&found, now);
    if age < min_age {
        return Ok(None);
    }
    place.recent.forget(&digest);
    place.bucket.delete(&key).await?;
    Ok(Some(Stored {
        name: StoredName::Blob(digest),
        size: found.size,
        age,
        is_shared: false,
    }))
}
