//! Changes the index.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{Digest, Error, ErrorKind, Result, blocking};

use super::backoff::Backoff;
use super::detached::to_its_end;
use super::index::{
    Base, ObjectVersion, as_it_is, read, replace, too_large, too_often, version_at,
};
use super::lease_wait::{Waiting, wait_for_lease};
use super::leased_index::Held;
use super::place::Place;
use crate::driver::{IndexChange, IndexEdit, vanished};

/// How often a change may come too late. With the pauses in between that is some minutes.
const MAX_ATTEMPTS: u32 = 1000;

/// How many blobs are looked for, or removed, at the same time.
pub(super) const REQUESTS: usize = 16;

/// Changes the index, again and again until nobody was faster.
pub(super) async fn update(
    place: &Arc<Place>,
    known: Option<ObjectVersion>,
    limit: u64,
    mut edit: IndexEdit,
) -> Result<Option<ObjectVersion>> {
    place.prepare().await?;
    let keeps_conditions = place.must_keep_conditions().await?;
    let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(400));
    let mut waiting = Waiting::new();
    let mut attempts = 0;
    while attempts < MAX_ATTEMPTS {
        // What the caller knows is what its edit goes on if nothing has changed: no other state will do.
        let found = read(place, known.as_ref(), limit).await?;
        if keeps_conditions && wait_for_lease(place, &found, &mut waiting, limit).await? {
            continue;
        }
        let (returned, found, change) = blocking::run(move || {
            let change = edit(found.state())?;
            Ok((edit, found, change))
        })
        .await?;
        edit = returned;
        require(place, &change).await?;
        let base = Base::new(found, keeps_conditions);
        match apply(place, &base, change, limit).await? {
            Outcome::Done(version) => return Ok(version),
            Outcome::TooLate => attempts += 1,
        }
        backoff.pause().await;
    }
    Err(too_often(place))
}

/// Checks that the blobs are there on which a change goes.
async fn require(place: &Place, change: &IndexChange) -> Result<()> {
    let is_unsure = |(digest, _): &(Digest, u64)| !place.recent.contains(digest);
    stream::iter(change.required().filter(is_unsure))
        .map(|(digest, size)| async move {
            match place.bucket.head(&place.blob(&digest)).await? {
                Some(found) if found.size == size => Ok(()),
                _ => Err(vanished(&digest)),
            }
        })
        .buffer_unordered(REQUESTS)
        .try_collect()
        .await
}

enum Outcome {
    Done(Option<ObjectVersion>),
    TooLate,
}

async fn apply(
    place: &Arc<Place>,
    base: &Base,
    change: IndexChange,
    limit: u64,
) -> Result<Outcome> {
    let IndexChange {
        content, remove, ..
    } = change;
    if let Some(content) = &content
        && content.len() as u64 > limit
    {
        let size = content.len();
        let why = format!("would be {size} bytes, more than the limit of {limit}");
        let error = Error::new(ErrorKind::SizeExceedsLimit, why);
        return Err(too_large(place, error));
    }
    if remove.is_empty() {
        let Some(content) = content else {
            return Ok(Outcome::Done(base.version().cloned()));
        };
        let written = replace(place, &content, base.mode()).await?;
        return Ok(match written {
            Some(at) => Outcome::Done(Some(version_at(at, false))),
            None => Outcome::TooLate,
        });
    }
    let content = match content {
        Some(content) => content,
        None => match as_it_is(place, base, limit).await? {
            Some(content) => content,
            None => return Ok(Outcome::TooLate),
        },
    };
    let (place, mode) = (Arc::clone(place), base.mode());
    // Half done, it would keep other writers waiting.
    to_its_end(async move {
        let Some(held) = Held::take(&place, content, mode).await? else {
            return Ok(Outcome::TooLate);
        };
        let removed = held.in_time(remove_blobs(&place, remove)).await;
        let version = held.give_back().await;
        removed?;
        Ok(Outcome::Done(Some(version)))
    })
    .await
}

async fn remove_blobs(place: &Place, blobs: Vec<Digest>) -> Result<()> {
    stream::iter(blobs)
        .map(|digest| async move {
            place.recent.forget(&digest);
            place.bucket.delete(&place.blob(&digest)).await
        })
        .buffer_unordered(REQUESTS)
        .try_collect()
        .await
}
