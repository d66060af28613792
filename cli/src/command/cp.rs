//! `cp`: an artifact from one place to another.

use std::sync::Arc;

use tranship::{
    CopyHooks, CopyOptions, Descriptor, Error, ErrorKind, Existing, ExtendedCopyOptions,
    ManifestDocument, PlatformSubset, Repository, SubsetForm, Tag, TagOrDigest,
    escape_controls as plain,
};
use tranship_backends::Location;

use super::copied::Copied;
use super::ends::{self, Ends};
use super::source::open_source_as;
use super::stream::{self, Kept};
use super::{manifest, open, referring, resolve};
use crate::args::{LocationOptions, OneCopy, Platforms};
use crate::command_error::{At as _, Outcome, suggest_destination, suggest_listing};
use crate::output::Output;
use crate::progress::CopyProgress;

/// From this size on, in bytes, a blob is continued where an interrupted copy stopped. To send less again
/// takes no longer than to find out where that was.
const LARGE: u64 = 4 * 1024 * 1024;

pub(super) async fn run(
    args: OneCopy,
    location_options: &LocationOptions,
    output: Output,
) -> Outcome {
    let ends = ends::open_options(&args, location_options).await?;
    let outgoing = stream::to_write_out(&args.destination, &args.source)?;
    let incoming = stream::read_in(&args.source).await?;
    let copied = copy(args, incoming.as_ref(), outgoing, &ends, output).await;
    match &incoming {
        Some(kept) => copied.map_err(|failure| kept.explain(failure)),
        None => copied,
    }
}

async fn copy(
    args: OneCopy,
    incoming: Option<&Kept>,
    outgoing: Option<Kept>,
    ends: &Ends,
    output: Output,
) -> Outcome {
    let opened = incoming.map_or(&args.source, |kept| &kept.location);
    let (source, reference) = open_source_as(&args.source, opened, &ends.from, output).await?;
    let reference = &reference;
    let tags = destination_tags(&args, reference);
    expect_digest(&args, &*source, reference).await?;
    expect_image(&args, &*source, reference).await?;
    let opened = outgoing
        .as_ref()
        .map_or(&args.destination, |kept| &kept.location);
    let destination = open(opened, &ends.to).await?;
    let progress = Arc::new(CopyProgress::new(output));
    let options = options(&args, Arc::clone(&progress) as Arc<dyn CopyHooks>);
    let report = if args.how.recursive {
        let options = extended(&args, options);
        tranship::extended_copy(&*source, reference, &*destination, &tags, &options).await
    } else {
        tranship::copy(&*source, reference, &*destination, &tags, &options).await
    };
    progress.finish();
    let report = match report {
        Err(error) if error.is_not_found() && error.hint().is_none() => {
            Err(explain_missing(error, &args, &*source, reference).await)
        }
        report => report,
    };
    let report = report
        .map_err(|error| suggest_for_both(error, &args))
        .at(format_args!("copy {} to {}", args.source, args.destination))?;
    let copied = Copied::new(&args, &tags, report);
    match outgoing.filter(|_| !args.how.dry_run) {
        Some(kept) => kept.write_out().await?,
        None => output.print(&copied).await?,
    }
    if let Some(replaced) = copied.tell_of_platforms(output) {
        referring::warn(&*source, &args.source, replaced, output).await;
    }
    if !output.is_json() {
        output.note(copied.summary());
    }
    Ok(())
}

/// Says what to do about what failed at the source or, if that is not to blame, at the destination.
fn suggest_for_both(error: Error, args: &OneCopy) -> Error {
    // Only a copy to a registry pushes with requests.
    if let Location::Remote(_) = args.source
        && error.operation() != Some("push")
    {
        let before = error.hint().map(str::to_owned);
        let error = suggest_listing(error, &args.source);
        let is_explained = error.hint() != before.as_deref();
        if is_explained || error.http_status().is_some() {
            return error;
        }
        return suggest_destination(error, &args.destination);
    }
    let error = suggest_listing(error, &args.source);
    suggest_destination(error, &args.destination)
}

/// The tags to set: those that are given or, if none is, that of the source.
fn destination_tags(args: &OneCopy, source: &TagOrDigest) -> Vec<Tag> {
    let given = manifest::tags(&args.destination, args.how.tags.clone());
    if given.is_empty() && args.destination.reference().is_none() {
        source.tag().cloned().into_iter().collect()
    } else {
        given
    }
}

/// Where the destination is named by a digest, that of what is copied must be the same. Looked at
/// before anything is done.
async fn expect_digest(
    args: &OneCopy,
    source: &dyn Repository,
    reference: &TagOrDigest,
) -> Outcome {
    let Some(TagOrDigest::Digest(expected)) = args.destination.reference() else {
        return Ok(());
    };
    let root = root(args, source, reference).await?;
    if root.digest() == expected {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::DigestMismatch,
        format!(
            "the destination is to be {expected}, but this is {}",
            root.digest()
        ),
    )
    .with_operation("copy")
    .with_subject(&args.source)
    .into())
}

/// An archive of docker holds images, and finds out about an index when all below it is written. So it
/// is looked at before anything is done.
async fn expect_image(args: &OneCopy, source: &dyn Repository, reference: &TagOrDigest) -> Outcome {
    let Location::DockerArchive(archive) = &args.destination else {
        return Ok(());
    };
    let refused = |what, hint| {
        let error = Error::unsupported(what).with_hint(hint);
        Err(error
            .with_operation("copy")
            .with_subject(&args.source)
            .into())
    };
    if let Some(TagOrDigest::Digest(_)) = archive.reference() {
        return refused(
            "an image has another digest in an archive of docker",
            "name it by a tag there",
        );
    }
    let root = root(args, source, reference).await?;
    if root.media_type().is_index() {
        return refused(
            "an archive of docker holds single images, and no index of several platforms",
            "choose one with --platform, or write oci-archive:FILE",
        );
    }
    Ok(())
}

/// What is to be copied.
async fn root(
    args: &OneCopy,
    source: &dyn Repository,
    reference: &TagOrDigest,
) -> Outcome<Descriptor> {
    let found = match args.how.platforms.selection() {
        Platforms::All => tranship::resolve(source, reference, &resolve::options(None)).await,
        Platforms::One(platform) => {
            tranship::resolve(source, reference, &resolve::options(Some(platform))).await
        }
        Platforms::Subset(subset) => root_of_subset(&subset, source, reference).await,
    };
    found.within(&args.source)
}

async fn root_of_subset(
    subset: &PlatformSubset,
    source: &dyn Repository,
    reference: &TagOrDigest,
) -> tranship::Result<Descriptor> {
    let options = resolve::options(None);
    let (root, content) = tranship::fetch_bytes(source, reference, &options).await?;
    if subset.form == SubsetForm::Sparse || !root.media_type().is_index() {
        return Ok(root);
    }
    Ok(subset.select(&root, &content)?.index)
}

/// Says for which platforms an index lists manifests that the source does not have, if that is why content was not
/// found. `docker save` and containerd keep the platform that was pulled, under an index of all.
async fn explain_missing(
    error: Error,
    args: &OneCopy,
    source: &dyn Repository,
    reference: &TagOrDigest,
) -> Error {
    let options = resolve::options(None);
    let Ok((root, content)) = tranship::fetch_bytes(source, reference, &options).await else {
        return error;
    };
    let Ok(Some(ManifestDocument::Index(index))) =
        ManifestDocument::decode(root.media_type(), &content)
    else {
        return error;
    };
    let wanted = match args.how.platforms.selection() {
        Platforms::All => Vec::new(),
        Platforms::One(platform) => vec![platform],
        Platforms::Subset(subset) => subset.platforms,
    };
    let is_wanted = |child: &Descriptor| {
        let is_one = |wanted| child.platform().is_some_and(|it| it.satisfies(wanted));
        wanted.is_empty() || wanted.iter().any(is_one)
    };
    let (mut missing, mut there) = (Vec::new(), Vec::new());
    for child in &index.manifests {
        let name = child
            .platform()
            .map_or_else(|| child.digest().to_string(), ToString::to_string);
        match source.manifests().exists(child).await {
            Ok(true) if child.platform().is_some() => there.push(name),
            Ok(true) => {}
            Ok(false) if is_wanted(child) => missing.push(name),
            Ok(false) => {}
            Err(_) => return error,
        }
    }
    if missing.is_empty() {
        return error;
    }
    let hint = match there.as_slice() {
        [] => "none of its platforms is there".to_owned(),
        [platform] => format!("copy the platform that is stored, with --platform {platform}"),
        platforms => format!(
            "copy a platform that is stored, with --platform: {}",
            platforms.join(", ")
        ),
    };
    Error::new(
        ErrorKind::NotFound,
        format!(
            "the index lists manifests that are not there, for {}",
            plain(&missing.join(", "))
        ),
    )
    .with_subject(root.digest())
    .with_hint(hint)
    .with_source(error)
}

fn options(args: &OneCopy, hooks: Arc<dyn CopyHooks>) -> CopyOptions {
    let mut options = CopyOptions::default()
        .with_concurrency(args.how.concurrency.into())
        .with_non_distributable(args.how.include_non_distributable)
        .with_dry_run(args.how.dry_run)
        .with_hooks(hooks);
    match args.how.platforms.selection() {
        Platforms::All => {}
        Platforms::One(platform) => options = options.with_platform(platform),
        Platforms::Subset(subset) => options = options.with_platforms(subset),
    }
    if !args.how.no_resume {
        options = options.with_resumable_from(LARGE);
    }
    if args.how.repair {
        options = options.with_existing(Existing::Check);
    }
    options
}

fn extended(args: &OneCopy, copy: CopyOptions) -> ExtendedCopyOptions {
    let mut options = ExtendedCopyOptions::default()
        .with_copy(copy)
        .with_digest_tags(!args.how.no_digest_tags);
    for artifact_type in &args.how.artifact_type {
        options = options.with_artifact_type(artifact_type.clone());
    }
    for annotation in &args.how.annotation {
        options = options.with_annotation(&annotation.key, annotation.value.clone());
    }
    if let Some(depth) = args.how.depth {
        options = options.with_depth(usize::try_from(depth).unwrap_or(usize::MAX));
    }
    options
}
