//! A whole copy: whether there is anything to do, the graph, and the tags.

use bytes::Bytes;

use super::copier::Copier;
use super::options::Existing;
use super::platforms::{PartialRoot, SubsetReport};
use super::progress::{CopyEvent, CopyReport, CopyStep};
use super::schedule::Graph;
use super::side::OnSide as _;
use crate::capabilities::Support;
use crate::descriptor::Descriptor;
use crate::error::{CopySide, Error, ErrorKind, Result, ResultExt as _};
use crate::reference::{Tag, TagOrDigest};
use crate::storage::ReadOnlyStorage as _;

/// Where a copy begins.
pub(super) struct Root {
    pub(super) descriptor: Descriptor,
    /// Its content, if it has been read.
    pub(super) content: Option<Bytes>,
    /// How it was chosen, if some platforms of an index were.
    pub(super) subset: Option<SubsetReport>,
    /// The entries that a sparse copy leaves out.
    pub(super) partial: Option<PartialRoot>,
}

impl Root {
    pub(super) fn unread(descriptor: Descriptor) -> Self {
        Self {
            descriptor,
            content: None,
            subset: None,
            partial: None,
        }
    }
}

/// Copies everything and sets the tags.
pub(super) async fn run(copier: Copier<'_>, mut root: Root, tags: &[Tag]) -> Result<CopyReport> {
    let (subset, partial) = (root.subset.take(), root.partial.take());
    let copier = Copier {
        partial: partial.as_ref(),
        ..copier
    };
    match run_whole(copier, root, tags).await {
        Ok(report) => Ok(CopyReport { subset, ..report }),
        Err(error) => Err(match &partial {
            Some(root) if is_refused_as_sparse(&error, root) => error.with_hint(
                "the destination does not accept an index that lists manifests which it does not have; copy a new index of the platforms, which is not sparse",
            ),
            _ => error,
        }),
    }
}

/// Whether a destination refused a sparse root because entries of it are missing.
fn is_refused_as_sparse(error: &Error, root: &PartialRoot) -> bool {
    let names_root = error.subject() == Some(root.digest.to_string().as_str());
    error.copy_side() == Some(CopySide::Destination)
        && error.kind() == ErrorKind::ManifestBlobUnknown
        && names_root
}

async fn run_whole(copier: Copier<'_>, root: Root, tags: &[Tag]) -> Result<CopyReport> {
    if let Support::No(reason) = copier.destination.capabilities().push {
        return Err(Error::unsupported(reason)
            .with_copy_side(CopySide::Destination)
            .with_operation("copy to")
            .with_subject(copier.destination.name()));
    }
    copier.destination.expect_pushes();
    let is_complete = is_complete(copier, &root.descriptor, tags).await?;
    let batch = match copier.options.dry_run {
        false => copier.destination.batch(),
        true => None,
    };
    let concurrency = copier.options.concurrency;
    let Some(batch) = batch else {
        if is_complete {
            return skip_all(copier, root.descriptor).await;
        }
        return copy_all(copier, root, tags, concurrency).await;
    };
    // The root may have been stored by a program that makes nothing durable. A batch that has seen it
    // does that when it is committed.
    if is_complete && batch.exists(&root.descriptor).await.at_destination()? {
        let committed = batch.commit().await.at_destination();
        committed.during("copy", root.descriptor.digest())?;
        return skip_all(copier, root.descriptor).await;
    }
    let in_batch = Copier {
        destination: &batch,
        ..copier
    };
    let bound = batch.concurrency().unwrap_or(usize::MAX);
    let report = copy_all(in_batch, root, tags, concurrency.min(bound)).await?;
    let committed = batch.commit().await.at_destination();
    committed.during("copy", report.root.digest())?;
    Ok(report)
}

async fn copy_all(
    copier: Copier<'_>,
    root: Root,
    tags: &[Tag],
    concurrency: usize,
) -> Result<CopyReport> {
    // A referrer needs its subject, so with referrers the root is pushed before the end; the
    // tags are set when everything is there.
    let tags_with_root: &[Tag] = match copier.extended {
        None => tags,
        Some(_) => &[],
    };
    let content = root.content.clone();
    let mut graph = Graph::new(&copier, root.descriptor.clone(), content, tags_with_root)?;
    graph.run(concurrency.max(1)).await?;
    let (late_tags, digest_tags) = graph.take_attached();
    if !copier.options.dry_run {
        for (node, tag) in &late_tags {
            if !names(copier, tag, node).await? {
                set_late_tag(copier, &mut graph, concurrency, node, tag).await?;
            }
        }
        if !tags.is_empty() {
            tag_root(copier, &mut graph, concurrency, &root, tags).await?;
        }
    }
    Ok(CopyReport {
        root: root.descriptor,
        steps: graph.into_steps(),
        digest_tags,
        subset: None,
    })
}

async fn set_late_tag(
    copier: Copier<'_>,
    graph: &mut Graph<'_, '_>,
    concurrency: usize,
    node: &Descriptor,
    tag: &Tag,
) -> Result<()> {
    let tagged = copier.destination.tag(node, tag).await.at_destination();
    match tagged.during("tag", tag) {
        Err(error) if error.kind() == ErrorKind::ManifestBlobUnknown => {
            complete(graph, concurrency, node, None, error).await?;
            let tagged = copier.destination.tag(node, tag).await;
            tagged.at_destination().during("tag", tag)
        }
        tagged => tagged,
    }
}

/// Points the tags at the root, unless it was pushed with them.
async fn tag_root(
    copier: Copier<'_>,
    graph: &mut Graph<'_, '_>,
    concurrency: usize,
    root: &Root,
    tags: &[Tag],
) -> Result<()> {
    if !graph.has_untagged_root() {
        return Ok(());
    }
    match tag(copier, &root.descriptor, root.content.clone(), tags).await {
        Err(error) if error.kind() == ErrorKind::ManifestBlobUnknown => {
            let content = root.content.clone();
            complete(graph, concurrency, &root.descriptor, content, error).await?;
            if graph.has_untagged_root() {
                tag(copier, &root.descriptor, root.content.clone(), tags).await?;
            }
            Ok(())
        }
        tagged => tagged,
    }
}

/// Copies a manifest once more, and what is missing below it, after the destination refused to tag it with
/// `error`: it has the manifest, and some of what is below it has been deleted since.
async fn complete(
    graph: &mut Graph<'_, '_>,
    concurrency: usize,
    manifest: &Descriptor,
    content: Option<Bytes>,
    error: Error,
) -> Result<()> {
    if !graph.distrust(manifest, content)? {
        return Err(error);
    }
    graph.run(concurrency.max(1)).await?;
    match graph.is_left_out(manifest)? {
        true => Err(error),
        false => Ok(()),
    }
}

/// Points the tags at a root that is there.
async fn tag(
    copier: Copier<'_>,
    root: &Descriptor,
    content: Option<Bytes>,
    tags: &[Tag],
) -> Result<()> {
    let destination = copier.destination;
    // Pushed once more it gets all of them at once, and need not be read where it is.
    if let Some(content) = content {
        let pushed = destination.push_reference(root, content.into(), tags).await;
        return pushed
            .map(drop)
            .at_destination()
            .during("tag", root.digest());
    }
    for tag in tags {
        let tagged = destination.tag(root, tag).await.at_destination();
        tagged.during("tag", tag)?;
    }
    Ok(())
}

/// Whether every tag names the root already: one question answers for the whole copy.
async fn is_complete(copier: Copier<'_>, root: &Descriptor, tags: &[Tag]) -> Result<bool> {
    let must_look = copier.extended.is_some() || copier.partial.is_some();
    if tags.is_empty() || must_look || copier.options.existing != Existing::Trust {
        return Ok(false);
    }
    for tag in tags {
        if !names(copier, tag, root).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether `tag` names `node` at the destination.
async fn names(copier: Copier<'_>, tag: &Tag, node: &Descriptor) -> Result<bool> {
    let reference = TagOrDigest::Tag(tag.clone());
    match copier.destination.resolve(&reference).await {
        Ok(found) => Ok(found.same_content(node)),
        // A damaged manifest is copied again.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::SizeMismatch) => {
            Ok(false)
        }
        Err(error) => Err(error).at_destination().during("resolve", tag),
    }
}

async fn skip_all(copier: Copier<'_>, root: Descriptor) -> Result<CopyReport> {
    copier.options.event(CopyEvent::Found(&root));
    let action = copier.transfer(&root).skipped().await;
    let action = action.during("copy", root.digest())?;
    copier.options.event(CopyEvent::Done(&root, action));
    let step = CopyStep {
        descriptor: root.clone(),
        action,
    };
    Ok(CopyReport {
        root,
        steps: vec![step],
        digest_tags: Vec::new(),
        subset: None,
    })
}
