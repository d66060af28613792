//! Changes of the index.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{Digest, Error, ErrorKind, Result, blocking};

use super::backoff::Backoff;
use super::detached::run_detached;
use super::index::{
    BaseIndex, ObjectVersion, lists_something, read, replace, too_large, too_many_conflicts,
};
use super::layout::ObjectLayout;
use super::lease_wait::{LeaseWait, wait_for_lease};
use super::leased_index::LeasedIndex;
use super::recent_blobs::Timestamp;
use crate::driver::{IndexChange, IndexContent, IndexEdit, vanished};

/// How many attempts to change the index may fail because another writer was faster. With the pauses between them
/// they take some minutes.
const MAX_ATTEMPTS: u32 = 1000;

/// How many blobs are inspected, or deleted, at the same time.
pub(super) const REQUESTS: usize = 16;

/// Changes the index. If another writer replaces it in the meantime, `edit` is called again with the new state.
pub(super) async fn update(
    layout: &Arc<ObjectLayout>,
    known: Option<ObjectVersion>,
    limit: u64,
    mut edit: IndexEdit,
) -> Result<Option<ObjectVersion>> {
    layout.prepare().await?;
    let is_conditional = layout.requires_conditions().await?;
    let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(400));
    let mut lease_wait = LeaseWait::new();
    let mut attempts = 0;
    while attempts < MAX_ATTEMPTS {
        // If nothing has changed, `edit` uses what its caller knows of `known`, so it must be asked for this version.
        let found = read(layout, known.as_ref(), limit).await?;
        if is_conditional && wait_for_lease(layout, &found, &mut lease_wait, limit).await? {
            continue;
        }
        let (returned, found, change) = blocking::run(move || {
            let change = edit(found.state())?;
            Ok((edit, found, change))
        })
        .await?;
        edit = returned;
        check_required(layout, &change).await?;
        let base = BaseIndex::new(found, is_conditional);
        match apply(layout, &base, change, limit).await? {
            Outcome::Done(version) => return Ok(version),
            Outcome::Conflict => attempts += 1,
        }
        backoff.pause().await;
    }
    Err(too_many_conflicts(layout))
}

/// Checks that the blobs exist that a change requires.
async fn check_required(layout: &ObjectLayout, change: &IndexChange) -> Result<()> {
    let is_unsure = |(digest, _): &(Digest, u64)| !layout.recent.contains(digest);
    stream::iter(change.required().filter(is_unsure))
        .map(|(digest, size)| async move {
            match layout.bucket.head(&layout.keys.blob(&digest)).await? {
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
    /// Another writer has replaced the index.
    Conflict,
}

async fn apply(
    layout: &Arc<ObjectLayout>,
    base: &BaseIndex,
    change: IndexChange,
    limit: u64,
) -> Result<Outcome> {
    let IndexChange {
        content, remove, ..
    } = change;
    let content = content.map(IndexContent::into_bytes);
    if let Some(content) = &content
        && content.len() as u64 > limit
    {
        let size = content.len();
        let why = format!("would be {size} bytes, more than the limit of {limit}");
        let error = Error::new(ErrorKind::SizeExceedsLimit, why);
        return Err(too_large(layout, error));
    }
    if remove.is_empty() {
        let Some(content) = content else {
            return Ok(Outcome::Done(base.version().cloned()));
        };
        return write(layout, base, content).await;
    }
    let content = match content {
        Some(content) => content,
        None => match base.content(layout, limit).await? {
            Some(content) => content,
            None => return Ok(Outcome::Conflict),
        },
    };
    let is_first = is_first(layout, base, &content);
    let (layout, mode) = (Arc::clone(layout), base.put_mode());
    // If it were interrupted, other writers would have to wait for the lease to expire.
    run_detached(async move {
        let Some(leased) = LeasedIndex::write(&layout, content, mode).await? else {
            return Ok(Outcome::Conflict);
        };
        let removed = leased.within_lease(remove_blobs(&layout, remove)).await;
        let version = leased.release().await;
        if is_first {
            layout.confirm_name().await?;
        }
        removed?;
        Ok(Outcome::Done(Some(version)))
    })
    .await
}

/// Writes the index without removing anything.
async fn write(layout: &Arc<ObjectLayout>, base: &BaseIndex, content: Bytes) -> Result<Outcome> {
    let is_first = is_first(layout, base, &content);
    let (layout, mode) = (Arc::clone(layout), base.put_mode());
    let write = async move {
        let began = Timestamp::now();
        let Some(at) = replace(&layout, &content, mode).await? else {
            return Ok(Outcome::Conflict);
        };
        let version = ObjectVersion::new(at, &content, false);
        if is_first {
            layout.confirm_name().await?;
        }
        layout.note_index(version.lists_something, began);
        Ok(Outcome::Done(Some(version)))
    };
    if is_first {
        // If it were interrupted, a repetition would find the index as it should be, and the name would be missing.
        run_detached(write).await
    } else {
        write.await
    }
}

/// Returns whether the catalog may lack the name after `content` has replaced the index `base`.
fn is_first(layout: &ObjectLayout, base: &BaseIndex, content: &[u8]) -> bool {
    let lists_first = !base.lists_something() && lists_something(content);
    let membership = layout.membership.as_ref();
    membership.is_some_and(|membership| lists_first || membership.has_failed())
}

async fn remove_blobs(layout: &ObjectLayout, blobs: Vec<Digest>) -> Result<()> {
    stream::iter(blobs)
        .map(|digest| async move {
            layout.recent.forget(&digest);
            layout.bucket.delete(&layout.keys.blob(&digest)).await
        })
        .buffer_unordered(REQUESTS)
        .try_collect()
        .await
}
