//! Deletes tags that are not chosen, after a question.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use tranship::Tag;
use tranship_artifact::retention::{DeletionOutcome, PlannedTag};
use tranship_mirror::jobs::{Place, Report};
use tranship_mirror::prune::PrunePlan;
use tranship_mirror::select::Target;

use super::outcome::{FailureLine, failure_lines};
use super::plural;
use crate::command_error::{CommandError, Outcome};
use crate::confirm::confirm;
use crate::exit::Status;
use crate::output::Output;

/// How something is deleted.
#[derive(Debug, Clone, Copy)]
pub(in crate::command) struct PruneChoices {
    pub(in crate::command) dry_run: bool,
    /// Whether to delete without a question.
    pub(in crate::command) yes: bool,
}

/// What was deleted, or in a dry run would be.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::command) struct Pruned {
    /// The tags, by repository.
    tags: BTreeMap<String, Vec<Tag>>,
    /// Repositories that were left alone, because something that leads to them failed.
    skipped: Vec<String>,
    pub(in crate::command) failures: Vec<FailureLine>,
}

/// Deletes the tags of `targets` that are not chosen, if the user agrees.
pub(in crate::command) async fn prune(
    targets: &[Target],
    report: &Report,
    choices: PruneChoices,
    output: Output,
) -> Outcome<Pruned> {
    let plan = PrunePlan::make(targets, report).await;
    let failures = plan.failures.iter();
    let mut pruned = Pruned {
        tags: planned_tags(&plan),
        skipped: plan.skipped.clone(),
        failures: failure_lines(failures.map(|(name, error)| (name.as_str(), error))),
    };
    if !output.is_json() {
        for name in &pruned.skipped {
            output.note(format_args!(
                "nothing is deleted of {name}, as something that leads there failed"
            ));
        }
        for failure in &pruned.failures {
            output.note(failure.line());
        }
    }
    if choices.dry_run || plan.tag_count() == 0 {
        return Ok(pruned);
    }
    if !choices.yes {
        for (repository, tags) in &pruned.tags {
            for tag in tags {
                output.note(format_args!("{repository}:{tag}"));
            }
        }
        let tags = plural(plan.tag_count(), "tag");
        let repositories = match plan.repositories.len() {
            1 => "1 repository".to_owned(),
            count => format!("{count} repositories"),
        };
        confirm(&format!("Delete {tags} of {repositories}?"), false).await?;
    }
    let outcomes = plan.carry_out().await;
    pruned.tags = deleted_tags(&plan, &outcomes);
    for (place, outcome) in &outcomes {
        for moved in &outcome.moved {
            output.note(format_args!(
                "warning: {place}:{moved} was moved or removed by another program, and is left alone"
            ));
        }
    }
    let failures = outcomes.iter().flat_map(|(place, outcome)| {
        let errors = outcome.failures.iter();
        errors.map(|error| (place.name.as_str(), error))
    });
    let failures = failure_lines(failures);
    if !output.is_json() {
        for failure in &failures {
            output.note(failure.line());
        }
    }
    pruned.failures.extend(failures);
    Ok(pruned)
}

fn planned_tags(plan: &PrunePlan) -> BTreeMap<String, Vec<Tag>> {
    let repositories = plan.repositories.iter();
    repositories
        .map(|(place, plan)| {
            let tags = plan.tags().iter().map(|planned| planned.tag.clone());
            (place.name.clone(), tags.collect())
        })
        .collect()
}

/// Returns the tags that are gone.
fn deleted_tags(
    plan: &PrunePlan,
    outcomes: &[(Place, DeletionOutcome)],
) -> BTreeMap<String, Vec<Tag>> {
    let repositories = plan.repositories.iter().zip(outcomes);
    let gone = repositories.map(|((place, plan), (_, outcome))| {
        let is_gone = |planned: &&PlannedTag| {
            let mut deleted = outcome.deleted.iter();
            outcome.untagged.contains(&planned.tag)
                || deleted.any(|manifest| manifest.digest() == planned.manifest.digest())
        };
        let tags = plan
            .tags()
            .iter()
            .filter(is_gone)
            .map(|planned| planned.tag.clone());
        (place.name.clone(), tags.collect::<Vec<_>>())
    });
    gone.filter(|(_, tags)| !tags.is_empty()).collect()
}

impl Pruned {
    /// Fails if something could not be deleted.
    pub(in crate::command) fn outcome(&self) -> Outcome {
        if self.failures.is_empty() {
            return Ok(());
        }
        let failed = plural(self.failures.len(), "deletion");
        let message = format!("failed: {failed}");
        Err(CommandError::Incomplete(message, Status::Incomplete))
    }
}

impl fmt::Display for Pruned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (repository, tags) in &self.tags {
            for tag in tags {
                writeln!(f, "delete {repository}:{tag}")?;
            }
        }
        Ok(())
    }
}
