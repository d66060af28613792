//! `index.json` in an object store: read if it has changed, and replaced if it has not.

use bytes::Bytes;
use object_store::{PutMode, UpdateVersion};
use tranship::{Error, ErrorKind, Result};

use super::bucket::{ConditionalGet, version_of};
use super::layout::ObjectLayout;
use super::lease;
use super::recent_blobs::Timestamp;
use crate::driver::IndexRead;
use crate::index::{EMPTY_INDEX, MAX_EMPTY_INDEX, lists_nothing};

/// One state of the index.
#[derive(Debug, Clone)]
pub(crate) struct ObjectVersion {
    pub(super) at: UpdateVersion,
    /// Whether it has a lease, so that it must not be changed.
    pub(super) is_leased: bool,
    pub(super) lists_something: bool,
}

impl ObjectVersion {
    /// Describes the state `at` of an index with this content.
    pub(super) fn new(at: UpdateVersion, content: &[u8], is_leased: bool) -> Self {
        Self {
            at,
            is_leased,
            lists_something: lists_something(content),
        }
    }
}

/// Returns whether an index with this content lists something, as one that cannot be read may do.
pub(super) fn lists_something(content: &[u8]) -> bool {
    content.len() as u64 > MAX_EMPTY_INDEX || !lists_nothing(content)
}

/// The result of reading the index.
pub(super) type ObjectIndexRead = IndexRead<ObjectVersion>;

/// Reads the index, unless it is still at the version `known`.
pub(super) async fn read(
    layout: &ObjectLayout,
    known: Option<&ObjectVersion>,
    limit: u64,
) -> Result<ObjectIndexRead> {
    let began = Timestamp::now();
    let found = read_if_changed(layout, known, limit).await?;
    let lists_something = found.version().is_some_and(|found| found.lists_something);
    layout.note_index(lists_something, began);
    Ok(found)
}

async fn read_if_changed(
    layout: &ObjectLayout,
    known: Option<&ObjectVersion>,
    limit: u64,
) -> Result<ObjectIndexRead> {
    let (bucket, key) = (&layout.bucket, layout.keys.index());
    let e_tag = known.and_then(|version| version.at.e_tag.clone());
    let found = match (bucket.get_if_changed(&key, e_tag).await?, known) {
        (ConditionalGet::NotModified, Some(known)) => {
            return Ok(IndexRead::Unchanged(known.clone()));
        }
        // Without a known version the request has no condition.
        (ConditionalGet::NotModified | ConditionalGet::Absent, _) => return Ok(IndexRead::Absent),
        (ConditionalGet::Found(found), _) => found,
    };
    let at = version_of(&found.meta);
    let content = bucket.content(&key, found, limit).await;
    let content = content.map_err(|error| match error.kind() {
        ErrorKind::SizeExceedsLimit => too_large(layout, error),
        _ => error,
    })?;
    let is_leased = lease::is_leased(&content);
    let version = ObjectVersion::new(at, &content, is_leased);
    Ok(IndexRead::Read(content, version))
}

/// Adds the index and a hint to the error for an index that exceeds the limit.
pub(super) fn too_large(layout: &ObjectLayout, error: Error) -> Error {
    error
        .with_subject(layout.bucket.url().of(&layout.keys.index()))
        .with_hint("raise the limit with LayoutOptions::with_max_index_size if the layout is sound")
}

/// Returns the error for a change that other writers have prevented too often.
pub(super) fn too_many_conflicts(layout: &ObjectLayout) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "other writers replaced the index before every attempt to change it",
    )
    .with_subject(layout.bucket.url().of(&layout.keys.index()))
    .with_retryable(true)
    .with_hint("too many processes write to one layout at the same time; try again later")
}

/// The state of the index that a change was computed from.
pub(super) struct BaseIndex {
    found: ObjectIndexRead,
    is_conditional: bool,
}

impl BaseIndex {
    /// `is_conditional` is whether the index may only be replaced if it is still in this state.
    pub(super) fn new(found: ObjectIndexRead, is_conditional: bool) -> Self {
        Self {
            found,
            is_conditional,
        }
    }

    pub(super) fn version(&self) -> Option<&ObjectVersion> {
        self.found.version()
    }

    pub(super) fn lists_something(&self) -> bool {
        self.version()
            .is_some_and(|version| version.lists_something)
    }

    /// Returns the condition that the index is still in this state.
    pub(super) fn put_mode(&self) -> PutMode {
        match self.version() {
            _ if !self.is_conditional => PutMode::Overwrite,
            Some(version) => PutMode::Update(version.at.clone()),
            None => PutMode::Create,
        }
    }

    /// Returns the content of the index in this state, for a change that keeps it; `None` if the index is in another
    /// state now.
    pub(super) async fn content(&self, layout: &ObjectLayout, limit: u64) -> Result<Option<Bytes>> {
        let version = match &self.found {
            IndexRead::Read(content, _) => return Ok(Some(content.clone())),
            IndexRead::Absent => return Ok(Some(Bytes::from_static(EMPTY_INDEX))),
            IndexRead::Unchanged(version) => version,
        };
        let IndexRead::Read(content, found) = read(layout, None, limit).await? else {
            return Ok(None);
        };
        Ok((found.at == version.at).then_some(content))
    }
}

/// Writes the index; returns `None` if the condition of `mode` does not hold.
pub(super) async fn replace(
    layout: &ObjectLayout,
    content: &Bytes,
    mode: PutMode,
) -> Result<Option<UpdateVersion>> {
    let key = layout.keys.index();
    layout.bucket.replace(&key, content, mode).await
}
