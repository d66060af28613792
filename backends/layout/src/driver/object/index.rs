//! `index.json` in an object store: read when it has changed, and replaced if nobody was faster.

use bytes::Bytes;
use object_store::{ObjectMeta, PutMode, PutResult, UpdateVersion};
use tranship::{Error, ErrorKind, Result};

use super::bucket::Changed;
use super::lease;
use super::place::Place;
use crate::driver::IndexRead;
use crate::index::EMPTY_INDEX;

/// One state of the index.
#[derive(Debug, Clone)]
pub(crate) struct ObjectVersion {
    pub(super) at: UpdateVersion,
    /// Whether somebody wants that it is not changed.
    pub(super) is_leased: bool,
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

pub(super) fn too_large(place: &Place, error: Error) -> Error {
    error
        .with_subject(place.bucket.url().of(&place.index()))
        .with_hint("raise the limit with LayoutOptions::with_max_index_size if the layout is sound")
}

pub(super) fn too_often(place: &Place) -> Error {
    Error::new(ErrorKind::Conflict, "others replace the index all the time")
        .with_subject(place.bucket.url().of(&place.index()))
        .with_retryable(true)
        .with_hint("too many write to one layout at the same time; try again later")
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
