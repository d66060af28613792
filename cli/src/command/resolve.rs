//! `resolve`: what a tag names.

use tranship::{Platform, ResolveOptions};
use tranship_backends::OpenOptions;

use super::named::Named;
use super::source::open_source;
use crate::args::Resolve;
use crate::command_error::{At as _, Outcome};
use crate::output::Output;

pub(super) async fn run(args: Resolve, location_options: &OpenOptions, output: Output) -> Outcome {
    let location = args.reference;
    let (repository, reference) = open_source(&location, location_options, output).await?;
    let options = options(args.platform.platform);
    let descriptor = tranship::resolve(&*repository, &reference, &options)
        .await
        .within(&location)?;
    let named = Named::new(location, descriptor).with_full(args.full);
    output.print(&named).await
}

pub(super) fn options(platform: Option<Platform>) -> ResolveOptions {
    match platform {
        Some(platform) => ResolveOptions::default().with_platform(platform),
        None => ResolveOptions::default(),
    }
}
