//! `manifest delete`, `rm` and `blob delete`.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use tranship::{Descriptor, Repository};
use tranship_backends::Location;
use tranship_backends::OpenOptions;

use super::{open_existing, retention, tags};
use crate::args::{BlobDelete, Delete};
use crate::command_error::{At as _, Outcome};
use crate::confirm::confirm;
use crate::location::{required_digest, required_reference};
use crate::output::Output;

/// What was deleted. As text nothing is printed of it, unless nothing was deleted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Deleted {
    dry_run: bool,
    deleted: Vec<DeletedContent>,
}

#[derive(Debug, Serialize)]
struct DeletedContent {
    reference: String,
    descriptor: Descriptor,
    /// The tags that go with a manifest, if they were looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
}

impl fmt::Display for Deleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.deleted.iter().filter(|_| self.dry_run);
        for content in shown {
            write!(f, "{}", content.descriptor.digest())?;
            for tag in content.tags.iter().flatten() {
                write!(f, " {tag}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Something to delete, and where.
struct Target<'a> {
    location: &'a Location,
    repository: Arc<dyn Repository>,
    descriptor: Descriptor,
    tags: Option<Vec<String>>,
}

pub(super) async fn manifests(
    args: Delete,
    location_options: &OpenOptions,
    output: Output,
) -> Outcome {
    if args.selects() {
        return retention::run(args, location_options, output).await;
    }
    let mut targets = Vec::new();
    for location in &args.references {
        let reference = required_reference(location)?;
        let repository = open_existing(location, location_options).await?;
        let descriptor = repository.resolve(reference).await.within(location)?;
        let mut tags = None;
        if args.dry_run || !args.yes {
            let found = tags::of_manifest(&*repository, *descriptor.digest()).await;
            let found = found.within(location)?;
            tags = Some(found.iter().map(ToString::to_string).collect());
        }
        targets.push(Target {
            location,
            repository,
            descriptor,
            tags,
        });
    }
    if !args.dry_run {
        let question = match targets.as_slice() {
            [target] => format!(
                "Delete the manifest {}, {}{}?",
                target.location,
                target.descriptor.digest(),
                with_tags(&targets)
            ),
            targets => format!(
                "Delete these {} manifests{}?",
                targets.len(),
                with_tags(targets)
            ),
        };
        confirm(&question, args.yes).await?;
        for target in &targets {
            let manifests = target.repository.manifests();
            let deleted = manifests.delete(&target.descriptor).await;
            deleted.within(target.location)?;
            output.note(format_args!("deleted {}", target.descriptor.digest()));
        }
    }
    print(targets, args.dry_run, output).await
}

pub(super) async fn blobs(
    args: BlobDelete,
    location_options: &OpenOptions,
    output: Output,
) -> Outcome {
    let mut targets = Vec::new();
    for location in &args.references {
        let digest = required_digest(location)?;
        let repository = open_existing(location, location_options).await?;
        let descriptor = repository.blobs().resolve(&digest.into()).await;
        let descriptor = descriptor.within(location)?;
        targets.push(Target {
            location,
            repository,
            descriptor,
            tags: None,
        });
    }
    if !args.dry_run {
        let question = match targets.as_slice() {
            [target] => format!(
                "Delete the blob {}, whatever refers to it?",
                target.location
            ),
            targets => format!(
                "Delete these {} blobs, whatever refers to them?",
                targets.len()
            ),
        };
        confirm(&question, args.yes).await?;
        for target in &targets {
            let deleted = target.repository.blobs().delete(&target.descriptor).await;
            deleted.within(target.location)?;
            output.note(format_args!("deleted {}", target.descriptor.digest()));
        }
    }
    print(targets, args.dry_run, output).await
}

/// The tags that go, for a question.
fn with_tags(targets: &[Target<'_>]) -> String {
    let tags: Vec<&str> = targets
        .iter()
        .flat_map(|target| target.tags.iter().flatten())
        .map(String::as_str)
        .collect();
    match tags.as_slice() {
        [] => String::new(),
        [tag] => format!(", and the tag {tag}"),
        tags => format!(
            ", and the tags {} (`tranship untag` removes a tag alone)",
            tags.join(", ")
        ),
    }
}

async fn print(targets: Vec<Target<'_>>, dry_run: bool, output: Output) -> Outcome {
    let deleted = targets.into_iter().map(|target| DeletedContent {
        reference: target
            .location
            .clone()
            .with_reference(*target.descriptor.digest())
            .to_string(),
        descriptor: target.descriptor,
        tags: target.tags,
    });
    let deleted = deleted.collect();
    output.print(&Deleted { dry_run, deleted }).await
}
