//! Copying many images: what `mirror`, `cp` of several tags, and bundles share.

mod opener;
mod outcome;
mod progress;
mod pruning;

use std::num::NonZeroUsize;
use std::sync::Arc;

use tranship::{Error, ErrorKind, Existing};
use tranship_mirror::Mirrored;
use tranship_mirror::jobs::{Image, JobOptions, Plan, PlannedImage, Report, Roots, State};
use tranship_mirror::rules::Rule;
use tranship_mirror::select::{Choice, Failure};

use crate::command_error::{CommandError, Outcome};
use crate::exit::Status;
use crate::output::Output;
use crate::report::Report as ErrorReport;

pub(super) use opener::Locations;
pub(super) use outcome::{FailureLine, Images, failure_lines};
use progress::ManyProgress;
pub(super) use pruning::{PruneChoices, Pruned, prune};

/// How images are copied.
#[derive(Debug, Clone, Default)]
pub(super) struct Choices {
    pub(super) concurrency: Option<NonZeroUsize>,
    pub(super) content_concurrency: Option<NonZeroUsize>,
    pub(super) dry_run: bool,
    pub(super) repair: bool,
    pub(super) resumable_from: Option<u64>,
    /// Whether nothing is copied if one of the images cannot be.
    pub(super) all_or_nothing: bool,
    /// The roots that earlier runs have found.
    pub(super) roots: Arc<Roots>,
}

/// Mirrors what `rules` choose, with progress bars.
pub(super) async fn mirror(
    rules: &[Rule],
    opener: &Locations,
    choices: &Choices,
    output: Output,
) -> Outcome<Mirrored> {
    let (options, progress) = job_options(choices, output);
    let mirrored = tranship_mirror::mirror(rules, opener, &options).await;
    progress.finish();
    Ok(mirrored?)
}

/// Finds out what there is to do for `images`, and does it, with progress bars.
pub(super) async fn copy(images: Vec<Image>, choices: &Choices, output: Output) -> Outcome<Report> {
    let (options, progress) = job_options(choices, output);
    let plan = Plan::make(images, &options).await?;
    if choices.all_or_nothing {
        let failed = |planned: &&PlannedImage| matches!(planned.state, State::Failed(_));
        let failed: Vec<_> = plan.images().iter().filter(failed).collect();
        if let Some(first) = failed.first() {
            progress.finish();
            return Err(refused(first, failed.len()).into());
        }
    }
    let report = plan.carry_out(&options).await;
    progress.finish();
    Ok(report)
}

fn job_options(choices: &Choices, output: Output) -> (JobOptions, Arc<ManyProgress>) {
    let progress = Arc::new(ManyProgress::new(output, choices.dry_run));
    let mut options = JobOptions::default()
        .with_dry_run(choices.dry_run)
        .with_resumable_from(choices.resumable_from)
        .with_observer(Arc::clone(&progress) as _);
    if let Some(count) = choices.concurrency {
        options = options.with_concurrency(count);
    }
    if let Some(count) = choices.content_concurrency {
        options = options.with_content_concurrency(count);
    }
    if choices.repair {
        options = options.with_existing(Existing::Check);
    }
    options.roots = Arc::clone(&choices.roots);
    (options, progress)
}

/// Returns why nothing is copied: one of `count` images cannot be.
fn refused(first: &PlannedImage, count: usize) -> Error {
    let name = first.image.destination_name();
    let (kind, message) = match &first.state {
        State::Failed(error) if error.is_not_found() => (
            ErrorKind::NotFound,
            format!(
                "the destination lacks the manifests of {}, and nothing was changed",
                plural(count, "image")
            ),
        ),
        State::Failed(error) => (error.kind(), error.to_string()),
        _ => (ErrorKind::Io, "cannot be copied".to_owned()),
    };
    Error::new(kind, message).with_subject(name)
}

/// Fails if a part of the work has failed: images, `not_listed` sources, and `deletions`.
pub(super) fn outcome(report: &Report, not_listed: &[Failure], deletions: usize) -> Outcome {
    let mut failed = Vec::new();
    let images = report.failures().count();
    if images > 0 {
        let total = plural(report.images.len(), "image");
        failed.push(format!("{images} of {total}"));
    }
    if !not_listed.is_empty() {
        let sources = plural(not_listed.len(), "source");
        failed.push(format!("{sources} that could not be listed"));
    }
    if deletions > 0 {
        failed.push(plural(deletions, "deletion"));
    }
    if failed.is_empty() {
        return Ok(());
    }
    let errors = report.failures().map(|(_, error)| error);
    let mut errors = errors.chain(not_listed.iter().map(|failure| &failure.error));
    let status = match errors.next() {
        Some(error) if images == report.images.len() => Status::from(error),
        _ => Status::Incomplete,
    };
    let failed = failed.join(", ");
    Err(CommandError::Incomplete(
        format!("failed: {failed}"),
        status,
    ))
}

/// Returns the number with the noun.
pub(super) fn plural(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

/// Tells what could not be listed, and in what nothing is chosen.
pub(super) fn tell_choice(choice: &Choice, output: Output) {
    if output.is_json() {
        return;
    }
    for failure in &choice.failures {
        let line = ErrorReport::new(&failure.error).at(Some(&failure.name));
        output.failure(line.line());
    }
    for empty in &choice.empty {
        output.note(format_args!("warning: nothing is chosen in {}", empty.name));
    }
}
