//! `fsck`.

use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;
use tranship::{Error, ErrorKind, Repository, escape_controls as plain};
use tranship_backends::OpenOptions;
use tranship_backends::layout::{Finding, FindingKind, FsckReport, Layout, Severity};

use super::layouts::Layouts;
use super::open_existing;
use super::verify::found;
use crate::args::Fsck;
use crate::command_error::{At as _, CommandError, Outcome};
use crate::location::no_reference;
use crate::output::{self, Output};
use crate::progress::CheckProgress;

#[derive(Debug, Serialize)]
struct Checked {
    sound: bool,
    layouts: Vec<One>,
}

#[derive(Debug, Serialize)]
struct One {
    location: String,
    #[serde(flatten)]
    report: FsckReport,
}

pub(super) async fn run(args: Fsck, location_options: &OpenOptions, output: Output) -> Outcome {
    let from = match &args.repair_from {
        Some(location) => {
            no_reference(location)?;
            Some(open_existing(location, location_options).await?)
        }
        None => None,
    };
    let mut layouts = Vec::new();
    for (location, layout) in Layouts::open(args.location, location_options)
        .await?
        .list()
        .await?
    {
        let report = check(&layout, from.as_ref(), output).await.at(&location)?;
        if !output.is_json() {
            output::write(lines(&report).as_bytes()).await?;
            output.note(summary(&location, &report));
        }
        layouts.push(One { location, report });
    }
    let unsound = layouts.iter().filter(|one| !one.report.sound);
    let unsound: Vec<_> = unsound.map(|one| one.location.clone()).collect();
    let errors = layouts.iter().map(|one| one.report.count(Severity::Error));
    let errors: usize = errors.sum();
    let mut findings = layouts.iter().flat_map(|one| &one.report.findings);
    let can_be_repaired = findings.any(may_be_repaired);
    if output.is_json() {
        let sound = unsound.is_empty();
        output.print_json(&Checked { sound, layouts }).await?;
    }
    let Some(first) = unsound.first() else {
        return Ok(());
    };
    let place = match unsound.len() {
        1 => first.clone(),
        count => format!("{first} and {} more", count - 1),
    };
    let error = Error::new(ErrorKind::Corrupt, found(errors));
    let hint = match from {
        Some(_) => "what is left could not be repaired from there",
        None if can_be_repaired => "--repair-from LOCATION replaces what is missing or damaged",
        None => {
            "--repair-from does not help against that; correct the file, or restore it from a backup"
        }
    };
    Err(CommandError::Error(error.with_hint(hint), Some(place)))
}

/// Whether another copy of the content helps against an error.
fn may_be_repaired(finding: &Finding) -> bool {
    let is_of_content = matches!(
        finding.kind,
        FindingKind::InvalidLayout
            | FindingKind::Missing
            | FindingKind::Truncated
            | FindingKind::Altered
            | FindingKind::Unreadable
    );
    finding.severity == Severity::Error && is_of_content
}

async fn check(
    layout: &Layout,
    from: Option<&Arc<dyn Repository>>,
    output: Output,
) -> Result<FsckReport, Error> {
    let progress = CheckProgress::new(output);
    let options = progress.options();
    match from {
        Some(from) => layout.repair(&**from, &options).await,
        None => layout.fsck(&options).await,
    }
}

/// What is wrong, and what was, one finding a line.
fn lines(report: &FsckReport) -> String {
    let mut text = String::new();
    for repaired in &report.repaired {
        let subject = plain(&repaired.subject);
        let _ = writeln!(text, "repaired: {} {subject}", repaired.kind);
    }
    for finding in &report.findings {
        if finding.severity == Severity::Info {
            continue;
        }
        let subject = plain(&finding.subject);
        let message = plain(&finding.message);
        let _ = write!(
            text,
            "{}: {} {subject}: {message}",
            finding.severity, finding.kind
        );
        if let Some(referrer) = &finding.referred_by {
            let _ = write!(text, ", in {referrer}");
        }
        if let Some(why) = &finding.not_repaired {
            let _ = write!(text, "; not repaired: {}", plain(why));
        }
        text.push('\n');
    }
    text
}

fn summary(location: &str, report: &FsckReport) -> String {
    let count = |kind| {
        let findings = report.findings.iter();
        findings.filter(|finding| finding.kind == kind).count()
    };
    let mut text = format!(
        "{location}: {} blobs checked, {}",
        report.checked.count,
        if report.sound {
            "no errors"
        } else {
            "errors were found"
        },
    );
    let unreferenced = count(FindingKind::Unreferenced);
    if unreferenced > 0 {
        let _ = write!(text, "; nothing refers to {unreferenced} of them");
    }
    let leftovers = count(FindingKind::Leftover);
    if leftovers > 0 {
        let _ = write!(text, "; {leftovers} files were left behind");
    }
    text
}
