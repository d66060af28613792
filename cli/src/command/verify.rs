//! `verify`: everything that a reference leads to.

use std::fmt::Write as _;

use serde::Serialize;
use tranship::{Error, ErrorKind, escape_controls as plain};
use tranship_artifact::image::{self, Severity, VerifyReport};
use tranship_backends::OpenOptions;

use super::open_existing;
use super::source::open_source;
use crate::args::Verify;
use crate::command_error::{At as _, CommandError, Outcome};
use crate::output::{self, Output};
use crate::progress::CheckProgress;

#[derive(Serialize)]
struct Verified {
    location: String,
    #[serde(flatten)]
    report: VerifyReport,
}

pub(super) async fn run(args: Verify, location_options: &OpenOptions, output: Output) -> Outcome {
    let location = args.location;
    let (repository, reference) = match location.reference() {
        Some(_) => {
            let (repository, reference) = open_source(&location, location_options, output).await?;
            (repository, Some(reference))
        }
        None => (open_existing(&location, location_options).await?, None),
    };
    let progress = CheckProgress::new(output);
    let options = progress
        .verify_options()
        .with_referrers(args.recursive)
        .with_layers(args.layers)
        .with_concurrency(args.concurrency.into());
    let report = image::verify(&*repository, reference.as_ref(), &options).await;
    let report = report.within(&location)?;
    drop(progress);
    if report.checked.count == 0 && reference.is_none() {
        let error = Error::new(ErrorKind::NotFound, "there is nothing to verify")
            .with_hint("look at the spelling of the repository's name");
        return Err(CommandError::Error(error, Some(location.to_string())));
    }
    let errors = report.count(Severity::Error);
    if output.is_json() {
        let verified = Verified {
            location: location.to_string(),
            report,
        };
        output.print_json(&verified).await?;
    } else {
        output::write(lines(&report).as_bytes()).await?;
        output.note(format_args!(
            "{location}: {} manifests and blobs checked, {}",
            report.checked.count,
            if report.sound {
                "no errors".to_owned()
            } else {
                found(errors)
            }
        ));
    }
    if errors == 0 {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Corrupt, found(errors)).with_hint(match location {
        tranship_backends::Location::Remote(_) => "push the damaged content again from a place that has all of it; `tranship cp --repair` adds what is missing",
        _ => "`tranship fsck LOCATION --repair-from LOCATION` replaces what is missing or damaged",
    });
    Err(CommandError::Error(error, Some(location.to_string())))
}

/// How many errors were found.
pub(super) fn found(errors: usize) -> String {
    match errors {
        1 => "1 error was found".to_owned(),
        _ => format!("{errors} errors were found"),
    }
}

/// What is wrong, one finding a line.
fn lines(report: &VerifyReport) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        // Writing to text does not fail.
        let _ = write!(
            text,
            "{}: {} {}: {}",
            finding.severity,
            finding.kind,
            plain(&finding.subject),
            plain(&finding.message)
        );
        if let Some(referrer) = &finding.referred_by {
            let _ = write!(text, ", in {referrer}");
        }
        text.push('\n');
    }
    text
}
