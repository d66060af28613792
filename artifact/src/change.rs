//! A changed manifest on its way back to its repository.

use bytes::Bytes;
use tranship::{
    Descriptor, Error, ErrorKind, Repository, Result, ResultExt as _, Source, Tag, TagOrDigest,
};

/// What a change of a manifest has made of it.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestChange {
    /// The manifest before. It stays in the repository.
    pub old: Descriptor,
    /// The manifest now; equal to [`old`](Self::old) if nothing was to be changed.
    pub new: Descriptor,
    /// The entries that were added to an index.
    pub added: Vec<Descriptor>,
    /// The entries that were removed from an index.
    pub removed: Vec<Descriptor>,
    /// The tags that name the new manifest now.
    pub tags: Vec<Tag>,
}

/// Pushes `content` in place of `old`, which `reference` named, and moves the tag of `reference` and `tags` to it.
pub(crate) async fn push(
    repository: &dyn Repository,
    reference: &TagOrDigest,
    old: Descriptor,
    content: Bytes,
    others: &[Tag],
) -> Result<ManifestChange> {
    let new = Descriptor::of_with(old.digest().algorithm(), old.media_type().clone(), &content);
    let mut tags: Vec<Tag> = Vec::new();
    for tag in reference.tag().into_iter().chain(others) {
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
    let is_changed = !new.same_content(&old);
    if is_changed && let TagOrDigest::Tag(tag) = reference {
        let current = repository.resolve(reference).await;
        if !current.during("resolve", tag)?.same_content(&old) {
            return Err(Error::new(
                ErrorKind::Conflict,
                "another writer has moved the tag since it was read",
            )
            .with_subject(tag)
            .with_hint("run it once more, to change what the tag names now")
            .with_retryable(true));
        }
    }
    if is_changed || !others.is_empty() {
        let pushed = repository
            .push_reference(&new, Source::from(content), &tags)
            .await;
        pushed.during("push", new.digest())?;
    }
    Ok(ManifestChange {
        old,
        new,
        added: Vec::new(),
        removed: Vec::new(),
        tags,
    })
}
