//! `manifest delete`, `rm` and `blob delete`.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use tranship::{Descriptor, Repository};
use tranship_backends::Location;
use tranship_backends::OpenOptions;

use super::{open_existing, retention};
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
}

impl fmt::Display for Deleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.deleted.iter().filter(|_| self.dry_run);
        for content in shown {
            writeln!(f, "{}", content.descriptor.digest())?;
        }
        Ok(())
    }
}

/// Something to delete, and where.
struct Target<'a> {
    location: &'a Location,
    repository: Arc<dyn Repository>,
    descriptor: Descriptor,
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
        targets.push(Target {
            location,
            repository,
            descriptor,
        });
    }
    if !args.dry_run {
        let question = match targets.as_slice() {
            [target] => format!(
                "Delete the manifest {}, {}, and every tag that points at it?",
                target.location,
                target.descriptor.digest()
            ),
            targets => format!(
                "Delete these {} manifests, and every tag that points at them?",
                targets.len()
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

async fn print(targets: Vec<Target<'_>>, dry_run: bool, output: Output) -> Outcome {
    let deleted = targets.into_iter().map(|target| DeletedContent {
        reference: target
            .location
            .clone()
            .with_reference(*target.descriptor.digest())
            .to_string(),
        descriptor: target.descriptor,
    });
    let deleted = deleted.collect();
    output.print(&Deleted { dry_run, deleted }).await
}
