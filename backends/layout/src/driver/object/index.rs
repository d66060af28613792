//! `index.json` in an object store: read when it has changed, and replaced if nobody was faster.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::{ObjectMeta, PutMode, PutResult, UpdateVersion};
use tranship::{Digest, Error, ErrorKind, Result, blocking};

use super::backoff::Backoff;
use super::bucket::Changed;
use super::held::Held;
use super::lease::{self, Waiting};
use super::place::Place;
use super::to_its_end;
use crate::driver::{IndexChange, IndexEdit, IndexRead, vanished};
use crate::index::EMPTY_INDEX;

/// How often a change may come too late. With the pauses in between that is some minutes.
const MAX_ATTEMPTS: u32 = 1000;

/// How many blobs are looked for, or removed, at the same time.
pub(super) const REQUESTS: usize = 16;

/// One state of the index.
#[derive(Debug, Clone)]
pub(crate) struct ObjectVersion {
    at: UpdateVersion,
    /// Whether somebody wants that it is not changed.
    is_leased: bool,
}

/// The state `at` of the index.
pub(super) fn version_at(at: UpdateVersion, is_leased: bool) -> ObjectVersion {
    ObjectVersion { at, is_leased }
}

fn found_at(found: &ObjectMeta) -> UpdateVersion {
    UpdateVersion {
        e_tag: found.e_tag.clone(),
        version: found.version.clone(),
    }
}

fn written_at(put: PutResult) -> UpdateVersion {
    UpdateVersion {
        e_tag: put.e_tag,
        version: put.version,
    }
}

/// What reading the index found.
pub(super) type Read = IndexRead<ObjectVersion>;

/// Reads the index, unless it is still the one that is known.
pub(super) async fn read(place: &Place, known: Option<&ObjectVersion>, limit: u64) -> Result<Read> {
    let (bucket, key) = (&place.bucket, place.index());
    let e_tag = known.and_then(|version| version.at.e_tag.clone());
    let found = match (bucket.get_changed(&key, e_tag).await?, known) {
        (Changed::No, Some(known)) => return Ok(IndexRead::Unchanged(known.clone())),
        // Nobody asked for a change.
        (Changed::No | Changed::Absent, _) => return Ok(IndexRead::Absent),
        (Changed::Yes(found), _) => found,
    };
    let at = found_at(&found.meta);
    let content = bucket.content(&key, found, limit).await;
    let content = content.map_err(|error| match error.kind() {
        ErrorKind::SizeExceedsLimit => too_large(place, error),
        _ => error,
    })?;
    let is_leased = lease::is_leased(&content);
    Ok(IndexRead::Read(content, version_at(at, is_leased)))
}

fn too_large(place: &Place, error: Error) -> Error {
    error
        .with_subject(place.bucket.url_of(&place.index()))
        .with_hint("raise the limit with LayoutOptions::with_max_index_size if the layout is sound")
}

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

pub(super) fn too_often(place: &Place) -> Error {
    Error::new(ErrorKind::Conflict, "others replace the index all the time")
        .with_subject(place.bucket.url_of(&place.index()))
        .with_retryable(true)
        .with_hint("too many write to one layout at the same time; try again later")
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

/// What a change was made from.
pub(super) struct Base {
    found: Read,
    keeps_conditions: bool,
}

impl Base {
    pub(super) fn new(found: Read, keeps_conditions: bool) -> Self {
        Self {
            found,
            keeps_conditions,
        }
    }

    pub(super) fn version(&self) -> Option<&ObjectVersion> {
        self.found.version()
    }

    /// The condition that this is still what is there.
    pub(super) fn mode(&self) -> PutMode {
        match self.version() {
            _ if !self.keeps_conditions => PutMode::Overwrite,
            Some(version) => PutMode::Update(version.at.clone()),
            None => PutMode::Create,
        }
    }
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

/// The content that a change leaves as it is; `None` if it has changed.
pub(super) async fn as_it_is(place: &Place, base: &Base, limit: u64) -> Result<Option<Bytes>> {
    let version = match &base.found {
        IndexRead::Read(content, _) => return Ok(Some(content.clone())),
        IndexRead::Absent => return Ok(Some(Bytes::from_static(EMPTY_INDEX))),
        IndexRead::Unchanged(version) => version,
    };
    let IndexRead::Read(content, found) = read(place, None, limit).await? else {
        return Ok(None);
    };
    Ok((found.at == version.at).then_some(content))
}

/// Writes the index; `None` if the condition does not hold.
pub(super) async fn replace(
    place: &Place,
    content: &Bytes,
    mode: PutMode,
) -> Result<Option<UpdateVersion>> {
    let (bucket, key) = (&place.bucket, place.index());
    let is_conditional = mode != PutMode::Overwrite;
    let put = bucket.put_if(&key, content.clone().into(), mode).await?;
    if let Some(put) = put {
        return Ok(Some(written_at(put)));
    }
    if !is_conditional {
        return Ok(None);
    }
    // A request whose answer was lost is repeated, and then meets its own result.
    let Some(found) = bucket.get(&key, Default::default()).await? else {
        return Ok(None);
    };
    let at = found_at(&found.meta);
    if found.meta.size != content.len() as u64 {
        return Ok(None);
    }
    let is_ours = bucket.content(&key, found, content.len() as u64).await? == *content;
    Ok(is_ours.then_some(at))
}
