//! `manifest delete` and `blob delete`.

use std::fmt;

use serde::Serialize;
use tranship::Descriptor;
use tranship_backends::Location;
use tranship_backends::OpenOptions;

use super::open_existing;
use crate::args::Delete;
use crate::command_error::{At as _, Outcome};
use crate::confirm::confirm;
use crate::location::{required_digest, required_reference};
use crate::output::Output;

#[derive(Debug, Serialize)]
struct Deleted {
    deleted: String,
    descriptor: Descriptor,
}

impl fmt::Display for Deleted {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl Deleted {
    fn new(location: Location, descriptor: Descriptor) -> Self {
        Self {
            deleted: location.with_reference(*descriptor.digest()).to_string(),
            descriptor,
        }
    }
}

pub(super) async fn manifest(
    args: Delete,
    location_options: &OpenOptions,
    output: Output,
) -> Outcome {
    let location = args.reference;
    let reference = required_reference(&location)?;
    let repository = open_existing(&location, location_options).await?;
    let target = repository.resolve(reference).await.within(&location)?;
    let question = format!(
        "Delete the manifest {location}, {}, and every tag that points at it?",
        target.digest()
    );
    confirm(&question, args.yes).await?;
    repository
        .manifests()
        .delete(&target)
        .await
        .within(&location)?;
    output.note(format_args!("deleted {}", target.digest()));
    output.print(&Deleted::new(location, target)).await
}

pub(super) async fn blob(args: Delete, location_options: &OpenOptions, output: Output) -> Outcome {
    let location = args.reference;
    let digest = required_digest(&location)?;
    let repository = open_existing(&location, location_options).await?;
    let target = repository
        .blobs()
        .resolve(&digest.into())
        .await
        .within(&location)?;
    let question = format!("Delete the blob {location}, whatever refers to it?");
    confirm(&question, args.yes).await?;
    repository.blobs().delete(&target).await.within(&location)?;
    output.note(format_args!("deleted {digest}"));
    output.print(&Deleted::new(location, target)).await
}
