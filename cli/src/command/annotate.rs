//! `annotate`: annotations of a manifest.

use tranship_artifact::annotate::{AnnotationTarget, annotate};
use tranship_backends::OpenOptions;

use super::changed::{self, Changed};
use super::source::open_source;
use crate::args::Annotate;
use crate::command_error::{At as _, Outcome};
use crate::output::Output;

pub(super) async fn run(args: Annotate, location_options: &OpenOptions, output: Output) -> Outcome {
    let changes = args.all_changes();
    let target = match args.entry {
        Some(selector) => AnnotationTarget::Entry(selector),
        None => AnnotationTarget::Manifest,
    };
    let location = args.location;
    let (repository, reference) = open_source(&location, location_options, output).await?;
    let change = annotate(&*repository, &reference, &target, &changes, &args.tags)
        .await
        .within(&location)?;
    changed::tell(&*repository, &location, &change, output).await;
    output.print(&Changed::new(location, change)).await
}
