//! `untag`: names taken away.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use tranship::Repository;
use tranship_backends::Location;
use tranship_backends::OpenOptions;

use super::open_existing;
use crate::args::Untag;
use crate::command_error::{At as _, Outcome};
use crate::location::required_tag;
use crate::output::Output;

#[derive(Debug, Serialize)]
struct Untagged {
    untagged: Vec<String>,
}

impl fmt::Display for Untagged {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

pub(super) async fn run(args: Untag, location_options: &OpenOptions, output: Output) -> Outcome {
    let mut names: Vec<(Arc<dyn Repository>, &Location)> = Vec::new();
    for location in &args.references {
        let tag = required_tag(location)?;
        if names.iter().any(|(_, named)| *named == location) {
            continue;
        }
        let repository = open_existing(location, location_options).await?;
        repository
            .resolve(&tag.clone().into())
            .await
            .within(location)?;
        names.push((repository, location));
    }
    for (repository, location) in &names {
        repository
            .untag(required_tag(location)?)
            .await
            .within(location)?;
        output.note(format_args!("untagged {location}"));
    }
    let untagged = names.iter().map(|(_, location)| location.to_string());
    output
        .print(&Untagged {
            untagged: untagged.collect(),
        })
        .await
}
