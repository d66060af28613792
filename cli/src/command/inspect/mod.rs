//! `inspect`: what an image or an artifact consists of.

mod page;

use serde::Serialize;
use tranship_artifact::image::{self, InspectOptions, Inspection};
use tranship_backends::OpenOptions;

use super::resolve;
use super::source::open_source;
use crate::args::Inspect;
use crate::command_error::{At as _, Outcome};
use crate::output::{self, Output};

#[derive(Serialize)]
struct Inspected {
    reference: String,
    #[serde(flatten)]
    inspection: Inspection,
}

pub(super) async fn run(args: Inspect, location_options: &OpenOptions, output: Output) -> Outcome {
    let location = args.reference;
    let (repository, reference) = open_source(&location, location_options, output).await?;
    let options = InspectOptions::default()
        .with_platform(args.platform.platform.clone())
        .with_referrers(!args.no_referrers);
    if args.raw {
        let options = resolve::options(args.platform.platform);
        let (_, bytes) = tranship::fetch_bytes(&*repository, &reference, &options)
            .await
            .within(&location)?;
        return output::write(&bytes).await;
    }
    if args.config {
        let (_, bytes) = image::fetch_config(&*repository, &reference, &options)
            .await
            .within(&location)?;
        return output::write(&bytes).await;
    }
    let inspection = image::inspect(&*repository, &reference, &options)
        .await
        .within(&location)?;
    let name = location
        .without_reference()
        .with_reference(*inspection.descriptor.digest());
    let inspected = Inspected {
        reference: name.to_string(),
        inspection,
    };
    if output.is_json() {
        return output.print_json(&inspected).await;
    }
    output::write(page::page(&inspected.reference, &inspected.inspection).as_bytes()).await
}
