//! Calls of a backend with what every backend's errors say: what was being done, and on what.

use futures_util::TryStreamExt as _;

use crate::backend::{Access, Backend, ContentKind, Presence, PushOptions, PushOutcome};
use crate::content::{ByteRange, Content, Source};
use crate::descriptor::Descriptor;
use crate::error::{Error, Result, ResultExt as _};
use crate::listing::{ListOptions, Listing};
use crate::media_type::MediaType;
use crate::reference::{RepositoryName, Tag, TagOrDigest};

/// Returns where content of the type of `target` is stored.
pub(super) fn kind_of(target: &Descriptor) -> ContentKind {
    if target.media_type().is_manifest() {
        ContentKind::Manifest
    } else {
        ContentKind::Blob
    }
}

pub(super) async fn fetch(
    backend: &dyn Backend,
    kind: ContentKind,
    target: &Descriptor,
) -> Result<Content> {
    let content = backend.read(kind, target).await;
    content.during("fetch", target.digest())
}

pub(super) async fn fetch_range(
    backend: &dyn Backend,
    kind: ContentKind,
    target: &Descriptor,
    range: ByteRange,
) -> Result<Content> {
    let content = backend.read_range(kind, target, range).await;
    content.during("fetch", target.digest())
}

pub(super) async fn fetch_reference(
    backend: &dyn Backend,
    kind: ContentKind,
    reference: &TagOrDigest,
) -> Result<Content> {
    let content = backend.read_reference(kind, reference).await;
    content.during("fetch", reference)
}

pub(super) async fn find(
    backend: &dyn Backend,
    kind: ContentKind,
    target: &Descriptor,
    access: Access,
) -> Result<Presence> {
    let found = backend.find(kind, target, access).await;
    found.during("look for", target.digest())
}

pub(super) async fn exists(
    backend: &dyn Backend,
    kind: ContentKind,
    target: &Descriptor,
) -> Result<bool> {
    let found = find(backend, kind, target, Access::Read).await?;
    Ok(found == Presence::Whole)
}

pub(super) async fn resolve(
    backend: &dyn Backend,
    kind: ContentKind,
    reference: &TagOrDigest,
) -> Result<Descriptor> {
    let found = backend.stat(kind, reference).await;
    found.during("resolve", reference)
}

pub(super) async fn push(
    backend: &dyn Backend,
    kind: ContentKind,
    expected: &Descriptor,
    source: Source<'_>,
    options: &PushOptions<'_>,
) -> Result<PushOutcome> {
    let pushed = if kind == ContentKind::Blob && !options.tags.is_empty() {
        Err(Error::unsupported(format!(
            "{} is not the media type of a manifest, and only manifests have tags",
            expected.media_type()
        )))
    } else {
        backend.write(kind, expected, source, options).await
    };
    pushed.during("push", expected.digest())
}

pub(super) async fn mount(
    backend: &dyn Backend,
    target: &Descriptor,
    from: &RepositoryName,
    fallback: Option<Source<'_>>,
) -> Result<PushOutcome> {
    let mounted = backend.mount_blob(target, from, fallback).await;
    mounted.during("mount", target.digest())
}

pub(super) async fn delete(
    backend: &dyn Backend,
    kind: ContentKind,
    target: &Descriptor,
) -> Result<()> {
    let removed = backend.remove(kind, target).await;
    removed.during("delete", target.digest())
}

pub(super) async fn tag(backend: &dyn Backend, target: &Descriptor, tag: &Tag) -> Result<()> {
    let set = backend.set_tag(target, tag).await;
    set.during("tag", target.digest())
}

pub(super) async fn untag(backend: &dyn Backend, tag: &Tag) -> Result<()> {
    backend.remove_tag(tag).await.during("untag", tag)
}

pub(super) fn tags(backend: &dyn Backend, options: ListOptions) -> Listing<'_, Tag> {
    let tags = backend.list_tags(options).map_err(|error| {
        error
            .with_operation("list the tags of")
            .with_subject(backend.info().name)
    });
    Box::pin(tags)
}

pub(super) fn referrers<'a>(
    backend: &'a dyn Backend,
    subject: &Descriptor,
    artifact_type: Option<&MediaType>,
) -> Listing<'a, Descriptor> {
    let digest = *subject.digest();
    let referrers = backend.list_referrers(subject, artifact_type);
    Box::pin(referrers.map_err(move |error| {
        error
            .with_operation("list referrers of")
            .with_subject(digest)
    }))
}

pub(super) async fn predecessors(
    backend: &dyn Backend,
    node: &Descriptor,
) -> Result<Vec<Descriptor>> {
    let found = backend.list_predecessors(node).await;
    found.during("find predecessors of", node.digest())
}
