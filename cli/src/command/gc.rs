//! `gc`.

use std::fmt::Write as _;

use indicatif::BinaryBytes;
use serde::Serialize;
use tranship_backends::OpenOptions;
use tranship_backends::layout::{GcOptions, GcReport};

use super::layouts::Layouts;
use crate::args::Gc;
use crate::command_error::{At as _, CommandError, Outcome};
use crate::location::LayoutLocations;
use crate::output::{self, Output};
use tranship::escape_controls as plain;

#[derive(Debug, Serialize)]
struct Collected {
    layouts: Vec<One>,
    freed: u64,
}

#[derive(Debug, Serialize)]
struct One {
    location: String,
    #[serde(flatten)]
    report: GcReport,
}

pub(super) async fn run(args: Gc, location_options: &OpenOptions, output: Output) -> Outcome {
    let options = GcOptions::default()
        .with_grace(args.grace.0)
        .with_dry_run(args.dry_run)
        .with_untagged_older_than(args.untagged_older_than.map(|age| age.0))
        .with_dangling_referrers(args.dangling_referrers);
    let is_one_of_many = matches!(args.location, LayoutLocations::All(_));
    let mut layouts = Vec::new();
    let mut failures = Vec::new();
    let all = Layouts::open(args.location, location_options).await?;
    if !args.dry_run {
        // Also layouts that another program has stored are collected.
        all.rebuild_catalog().await?;
    }
    for (location, layout) in all.list().await? {
        match layout.collect_garbage(&options).await.at(&location) {
            Ok(report) => {
                if !output.is_json() {
                    output::write(lines(&report).as_bytes()).await?;
                    output.note(summary(&location, &report));
                }
                layouts.push(One { location, report });
            }
            // A process died that made it, and left nothing to collect.
            Err(CommandError::Error(error, _)) if is_one_of_many && error.is_not_found() => {
                output.note(format_args!("{location}: {error}"));
            }
            Err(failure) => failures.push((location, failure)),
        }
    }
    // One layout that is damaged does not keep the others from being collected.
    let others = failures.iter().skip(1);
    for (location, failure) in others {
        if let CommandError::Error(error, _) = failure {
            output.note(format_args!("{location}: {error}"));
        }
    }
    if let Some((_, failure)) = failures.into_iter().next() {
        return Err(failure);
    }
    if output.is_json() {
        let freed = layouts.iter().map(|one| one.report.freed).sum();
        return output.print_json(&Collected { layouts, freed }).await;
    }
    Ok(())
}

/// What was removed, one thing a line.
fn lines(report: &GcReport) -> String {
    let mut text = String::new();
    for blob in &report.removed {
        let _ = writeln!(text, "{} {}", blob.digest, blob.size);
    }
    text
}

fn summary(location: &str, report: &GcReport) -> String {
    let what = if report.dry_run {
        "would be removed"
    } else {
        "removed"
    };
    let mut text = format!(
        "{location}: {} blobs and {} leftovers {what}, {} freed; {} blobs stay",
        report.removed.len(),
        report.leftovers.len(),
        BinaryBytes(report.freed),
        report.referenced.count + report.young.count,
    );
    let _ = match report.young.count {
        0 => Ok(()),
        young => write!(text, ", {young} of them for being young"),
    };
    let _ = match report.untagged.len() {
        0 => Ok(()),
        untagged => write!(text, "; {untagged} manifests had no tag"),
    };
    let _ = match report.absent.len() {
        0 => Ok(()),
        absent => write!(text, "; {absent} that are referred to are not there"),
    };
    for stray in &report.strays {
        let _ = write!(text, "; left alone: blobs/{}", plain(&stray.path));
    }
    text
}
