//! Copying artifacts between repositories, whatever backends they belong to.
//!
//! All four functions walk the graph from a root: what a manifest refers to is copied before the
//! manifest, each piece of content once, and the root with its tags last, so that a tag at the
//! destination never names something incomplete. What the destination has is not copied again; blobs
//! are mounted where both ends are one registry.
//!
//! Nothing is spawned: the copy happens while its future is polled. Dropping the future, or the first
//! error, ends all transfers at once. Whole pieces of content that have arrived stay, so a later copy
//! goes on from there; no tag has moved.

mod attached;
mod bounds;
mod callbacks;
mod copier;
mod extended;
mod hooks;
mod levels;
mod nodes;
mod options;
mod platforms;
mod progress;
mod run;
mod schedule;
mod side;
mod transfer;

pub use bounds::ReferrerBounds;
pub use callbacks::CopyCallbacks;
pub use extended::{ExtendedCopyOptions, Follow};
pub use hooks::{CopyHooks, PreCopy};
pub use options::{CopyOptions, Existing};
pub use platforms::{PlatformSubset, SelectedManifests, SubsetForm, SubsetReport, attested_digest};
pub use progress::{CopyAction, CopyEvent, CopyReport, CopyStep};

use bytes::Bytes;

use crate::descriptor::Descriptor;
use crate::error::{Result, ResultExt as _};
use crate::reference::{Tag, TagOrDigest};
use crate::repository::Repository;
use crate::resolve::{expect_manifest, select_platform};
use copier::Copier;
use run::{Root, run};
use side::OnSide as _;

/// Copies the artifact that `reference` names in `source`, and points `tags` at it in `destination`.
/// Without tags it is there by its digest.
///
/// ```
/// # use tranship::{copy, CopyOptions, Repository, Result, Tag, TagOrDigest};
/// async fn promote(staging: &dyn Repository, production: &dyn Repository) -> Result<()> {
///     let candidate: TagOrDigest = "v1.2".parse()?;
///     let tags: [Tag; 2] = ["v1.2".parse()?, "stable".parse()?];
///     let report = copy(staging, &candidate, production, &tags, &CopyOptions::default()).await?;
///     println!("{} is there, {} steps", report.root.digest(), report.steps.len());
///     Ok(())
/// }
/// ```
///
/// # Errors
/// - [`NotFound`](crate::ErrorKind::NotFound) if `reference` names nothing, if something that it
///   refers to is missing in `source`, or if no manifest fits a platform asked for.
/// - [`Unsupported`](crate::ErrorKind::Unsupported) if `reference` names a manifest of an unknown type,
///   such as Docker's schema 1.
/// - [`SizeExceedsLimit`](crate::ErrorKind::SizeExceedsLimit) if a manifest is larger than
///   [`CopyOptions::max_manifest_size`].
/// - [`DigestMismatch`](crate::ErrorKind::DigestMismatch) or
///   [`SizeMismatch`](crate::ErrorKind::SizeMismatch) if `source` has altered or truncated content.
///   It does not become visible in `destination`.
/// - [`SizeMismatch`](crate::ErrorKind::SizeMismatch) if two manifests give content different sizes, and
///   [`InvalidManifest`](crate::ErrorKind::InvalidManifest) if it is an index to one of them and not to
///   the other, if a manifest cannot be decoded, or if manifests refer to each other in a circle.
/// - What either end or a hook fails with.
pub async fn copy(
    source: &dyn Repository,
    reference: &TagOrDigest,
    destination: &dyn Repository,
    tags: &[Tag],
    options: &CopyOptions,
) -> Result<CopyReport> {
    let root = find_root(source, reference, options).await?;
    let copier = Copier::new(source, destination, options, None);
    run(copier, root, tags).await
}

/// Copies the artifact that `tag` names in `source`, and gives it the same tag in `destination`.
///
/// ```
/// # use tranship::{copy_tag, CopyOptions, Repository, Result};
/// async fn publish(layout: &dyn Repository, registry: &dyn Repository) -> Result<()> {
///     copy_tag(layout, registry, &"v1".parse()?, &CopyOptions::default()).await?;
///     Ok(())
/// }
/// ```
///
/// # Errors
/// As [`copy`].
pub async fn copy_tag(
    source: &dyn Repository,
    destination: &dyn Repository,
    tag: &Tag,
    options: &CopyOptions,
) -> Result<CopyReport> {
    let reference = TagOrDigest::Tag(tag.clone());
    let tags = std::slice::from_ref(tag);
    copy(source, &reference, destination, tags, options).await
}

/// Copies `root` and all that it refers to, without a tag. A root that is not a manifest is copied
/// alone.
///
/// # Errors
/// As [`copy`].
pub async fn copy_graph(
    source: &dyn Repository,
    root: &Descriptor,
    destination: &dyn Repository,
    options: &CopyOptions,
) -> Result<CopyReport> {
    let copier = Copier::new(source, destination, options, None);
    run(copier, Root::unread(root.clone()), &[]).await
}

/// Like [`copy`], together with what refers to the artifact: signatures, SBOMs, attestations, and
/// what refers to those. Tags are set when all of it is there.
///
/// # Errors
/// - [`SizeExceedsLimit`](crate::ErrorKind::SizeExceedsLimit) if the source lists more than 100 levels of
///   referrers, or more than 100,000 of them, or more than 64 MiB of their annotations.
/// - As [`copy`].
pub async fn extended_copy(
    source: &dyn Repository,
    reference: &TagOrDigest,
    destination: &dyn Repository,
    tags: &[Tag],
    options: &ExtendedCopyOptions,
) -> Result<CopyReport> {
    let root = find_root(source, reference, &options.copy).await?;
    let copier = Copier::new(source, destination, &options.copy, Some(options));
    run(copier, root, tags).await
}

/// Like [`copy_graph`], together with what refers to `node`, and what refers to that.
///
/// # Errors
/// As [`copy`].
pub async fn extended_copy_graph(
    source: &dyn Repository,
    node: &Descriptor,
    destination: &dyn Repository,
    options: &ExtendedCopyOptions,
) -> Result<CopyReport> {
    let copier = Copier::new(source, destination, &options.copy, Some(options));
    run(copier, Root::unread(node.clone()), &[]).await
}

/// Reads what `reference` names with one request, and lets the caller's mapping and the platform
/// choose the root.
async fn find_root(
    source: &dyn Repository,
    reference: &TagOrDigest,
    options: &CopyOptions,
) -> Result<Root> {
    let content = source
        .fetch_reference(reference)
        .await
        .at_source()
        .during("resolve", reference)?;
    let found = content.descriptor().plain();
    expect_manifest(found.media_type()).during("copy", reference)?;
    let bytes: Bytes = content.bytes(options.max_manifest_size).await.at_source()?;
    let mut root = found.clone();
    if let Some(hooks) = &options.hooks {
        root = hooks.map_root(source, root).await?;
    }
    if let Some(platform) = &options.platform {
        let known = (root == found).then_some(&bytes);
        let limit = options.max_manifest_size;
        let selected = select_platform(source, &root, known, platform, limit).await;
        root = selected.at_source()?;
    }
    let content = (root == found).then_some(bytes);
    let Some(platforms) = &options.platforms else {
        return Ok(Root {
            content,
            ..Root::unread(root)
        });
    };
    let content = match content {
        Some(content) => content,
        None => fetch_root(source, &root, options).await?,
    };
    let limit = options.max_manifest_size;
    let selected = platforms.select_root(source, root, content, limit).await;
    let (descriptor, content, subset, partial) = selected.at_source()?;
    Ok(Root {
        descriptor,
        content: Some(content),
        subset: Some(subset),
        partial,
    })
}

/// Reads the manifest that the caller's mapping or a platform has chosen.
async fn fetch_root(
    source: &dyn Repository,
    root: &Descriptor,
    options: &CopyOptions,
) -> Result<Bytes> {
    let content = source.fetch(root).await.at_source();
    let content = content.during("fetch", root.digest())?;
    let bytes = content.bytes(options.max_manifest_size).await.at_source();
    bytes.during("fetch", root.digest())
}
