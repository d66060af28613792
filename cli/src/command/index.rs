//! `index`: makes, changes and shows indexes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use tranship::{
    CopyHooks, CopyOptions, Descriptor, Error, ErrorKind, ManifestDocument, Repository,
    TagOrDigest, attested_digest, escape_controls as plain,
};
use tranship_artifact::index::{AddOptions, IndexOptions, IndexSource, add, create, remove};
use tranship_backends::{Location, OpenOptions};

use super::changed::{self, Changed};
use super::named::Named;
use super::source::open_source;
use super::{manifest, open, resolve};
use crate::args::{Index, IndexAdd, IndexCreate, IndexRemove, IndexShow, IndexSources, SourceArg};
use crate::command_error::{At as _, Outcome};
use crate::output::Output;
use crate::progress::CopyProgress;

pub(super) async fn run(args: Index, location_options: &OpenOptions, output: Output) -> Outcome {
    match args {
        Index::Create(args) => make(args, location_options, output).await,
        Index::Add(args) => extend(args, location_options, output).await,
        Index::Remove(args) => shrink(args, location_options, output).await,
        Index::Show(args) => show(args, location_options, output).await,
    }
}

/// A source whose repository is open; `None` for that of the index.
type Opened = (Option<Arc<dyn Repository>>, TagOrDigest);

async fn open_sources(
    args: &IndexSources,
    target: &Location,
    location_options: &OpenOptions,
    output: Output,
) -> Outcome<Vec<Opened>> {
    let target = target.clone().without_reference().to_string();
    let mut opened = Vec::new();
    for source in &args.sources {
        opened.push(match source {
            SourceArg::Here(reference) => (None, reference.clone()),
            SourceArg::Elsewhere(location) => {
                let (repository, reference) =
                    open_source(location, location_options, output).await?;
                let is_here = location.clone().without_reference().to_string() == target;
                ((!is_here).then_some(repository), reference)
            }
        });
    }
    Ok(opened)
}

fn sources<'a>(args: &IndexSources, opened: &'a [Opened]) -> Vec<IndexSource<'a>> {
    let source = |(repository, reference): &'a Opened| {
        let mut source = IndexSource::new(reference.clone())
            .with_platforms(args.platforms.clone())
            .with_nested(args.nested);
        if let Some(repository) = repository {
            source = source.with_repository(&**repository);
        }
        if let Some(platform) = &args.entry_platform {
            source = source.with_platform(platform.clone());
        }
        for annotation in &args.entry_annotations {
            source = source.with_annotation(&annotation.key, &annotation.value);
        }
        source
    };
    opened.iter().map(source).collect()
}

async fn make(args: IndexCreate, location_options: &OpenOptions, output: Output) -> Outcome {
    let location = args.location;
    if let Some(TagOrDigest::Digest(_)) = location.reference() {
        let error = Error::new(
            ErrorKind::InvalidReference,
            "the digest of an index is not known before it is made",
        );
        let error = error.with_hint("name it by a tag, or by nothing");
        return Err(error.with_subject(&location).into());
    }
    let opened = open_sources(&args.sources, &location, location_options, output).await?;
    let target = open(&location, location_options).await?;
    let progress = Arc::new(CopyProgress::new(output));
    let mut options = IndexOptions::default()
        .with_docker(args.docker)
        .with_copy(copy_options(&progress));
    options.tags = manifest::tags(&location, args.tags);
    options.artifact_type = args.artifact_type;
    for annotation in args.annotations {
        options = options.with_annotation(annotation.key, annotation.value);
    }
    if let Some(subject) = &args.subject {
        let subject = tranship::resolve(&*target, subject, &resolve::options(None)).await;
        options = options.with_subject(subject.within(&location)?);
    }
    let sources = sources(&args.sources, &opened);
    let created = create(&*target, &sources, &options).await;
    progress.finish();
    let descriptor = created.pushed_to(&location)?;
    let named = Named::new(location, descriptor).with_tags(&options.tags);
    output.print(&named).await
}

async fn extend(args: IndexAdd, location_options: &OpenOptions, output: Output) -> Outcome {
    let location = args.location;
    let (target, reference) = open_source(&location, location_options, output).await?;
    let opened = open_sources(&args.sources, &location, location_options, output).await?;
    let progress = Arc::new(CopyProgress::new(output));
    let mut options = AddOptions::default()
        .with_replace(args.replace)
        .with_copy(copy_options(&progress));
    options.tags = args.tags;
    let sources = sources(&args.sources, &opened);
    let change = add(&*target, &reference, &sources, &options).await;
    progress.finish();
    let change = change.pushed_to(&location)?;
    tell_of_twins(&*target, &location, &change.new, output).await;
    changed::tell(&*target, &location, &change, output).await;
    output.print(&Changed::new(location, change)).await
}

/// Tells of platforms for which an index has several manifests: a client takes the first one.
async fn tell_of_twins(
    target: &dyn Repository,
    location: &Location,
    index: &Descriptor,
    output: Output,
) {
    let reference = TagOrDigest::Digest(*index.digest());
    let options = resolve::options(None);
    let fetched = tranship::fetch_manifest(target, &reference, &options).await;
    let Ok((_, ManifestDocument::Index(index))) = fetched else {
        return;
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let entries = index.manifests.iter();
    for entry in entries.filter(|entry| attested_digest(entry).is_none()) {
        if let Some(platform) = entry.platform() {
            *counts.entry(platform.to_string()).or_default() += 1;
        }
    }
    for (platform, count) in counts.into_iter().filter(|(_, count)| *count > 1) {
        output.note(format_args!(
            "warning: {location} lists {count} manifests for {platform}, of which a client takes the first; --replace removes the others"
        ));
    }
}

async fn shrink(args: IndexRemove, location_options: &OpenOptions, output: Output) -> Outcome {
    let selectors = args.selectors();
    let location = args.location;
    let (target, reference) = open_source(&location, location_options, output).await?;
    let change = remove(&*target, &reference, &selectors, &args.tags)
        .await
        .within(&location)?;
    changed::tell(&*target, &location, &change, output).await;
    output.print(&Changed::new(location, change)).await
}

fn copy_options(progress: &Arc<CopyProgress>) -> CopyOptions {
    CopyOptions::default().with_hooks(Arc::clone(progress) as Arc<dyn CopyHooks>)
}

/// An index: as text a table of its entries.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    reference: String,
    descriptor: Descriptor,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Descriptor>,
    manifests: Vec<Descriptor>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![["PLATFORM", "DIGEST", "SIZE", "TYPE"].map(ToOwned::to_owned)];
        for entry in &self.manifests {
            let platform = entry.platform().map_or_else(
                || "-".to_owned(),
                |platform| plain(&platform.to_string()).into(),
            );
            let kind = entry.artifact_type().unwrap_or(entry.media_type());
            let kind = match attested_digest(entry) {
                Some(subject) => format!("attestation of {subject}"),
                None => plain(kind.as_str()).into(),
            };
            let digest = entry.digest().to_string();
            rows.push([platform, digest, entry.size().to_string(), kind]);
        }
        let width = |column: usize| {
            let widths = rows.iter().map(|row| row[column].chars().count());
            widths.max().unwrap_or_default()
        };
        let (first, second, third) = (width(0), width(1), width(2));
        for [platform, digest, size, kind] in &rows {
            writeln!(
                f,
                "{platform:first$}  {digest:second$}  {size:>third$}  {kind}"
            )?;
        }
        Ok(())
    }
}

async fn show(args: IndexShow, location_options: &OpenOptions, output: Output) -> Outcome {
    let location = args.location;
    let (repository, reference) = open_source(&location, location_options, output).await?;
    let options = resolve::options(None);
    let (descriptor, document) = tranship::fetch_manifest(&*repository, &reference, &options)
        .await
        .within(&location)?;
    let ManifestDocument::Index(index) = document else {
        let error = Error::unsupported(format!(
            "it is not an index, but of the type {}",
            descriptor.media_type()
        ));
        let error = error.with_hint("`tranship manifest fetch --pretty` prints it");
        return Err(error.with_subject(&location).into());
    };
    let shown = Shown {
        reference: location.with_reference(*descriptor.digest()).to_string(),
        descriptor,
        artifact_type: index.artifact_type.map(|it| it.to_string()),
        annotations: index.annotations,
        subject: index.subject,
        manifests: index.manifests,
    };
    output.print(&shown).await
}
