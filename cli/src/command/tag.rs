//! `tag`: further names for a manifest.
use tranship_backends::OpenOptions;

use super::named::Named;
use super::source::open_source;
use crate::args::TagArgs;
use crate::command_error::{At as _, Outcome};
use crate::output::Output;

pub(super) async fn run(args: TagArgs, location_options: &OpenOptions, output: Output) -> Outcome {
    let location = args.reference;
    let (repository, reference) = open_source(&location, location_options, output).await?;
    let descriptor = tranship::tag_n(&*repository, &reference, &args.tags)
        .await
        .within(&location)?;
    let named = Named::new(location, descriptor).with_tags(&args.tags);
    output.print(&named).await
}
