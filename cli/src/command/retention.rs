//! `manifest delete` with options that choose tags.

use std::collections::HashSet;
use std::fmt;
use std::time::SystemTime;

use serde::Serialize;
use tranship::{Descriptor, Error, ErrorKind, Tag};
use tranship_artifact::retention::{DeletionOutcome, Plan, Selection, plan};
use tranship_backends::Location;
use tranship_backends::OpenOptions;

use super::open_existing;
use crate::args::Delete;
use crate::command_error::{At as _, Outcome};
use crate::confirm::confirm;
use crate::location::no_reference;
use crate::output::Output;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Deletion {
    repository: String,
    dry_run: bool,
    /// The tags that go.
    tags: Vec<DeletedTag>,
    /// The manifests that are deleted.
    manifests: Vec<Descriptor>,
    /// How many tags stay.
    kept: usize,
    /// The tags that stay because their age is not known.
    unknown_age: Vec<String>,
    /// The tags that were moved or removed by others, and are left alone.
    moved: Vec<String>,
    /// How many deletions failed.
    failed: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeletedTag {
    tag: String,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    /// Whether the manifest stays and only the tag is removed.
    manifest_stays: bool,
}

impl Deletion {
    fn new(location: &Location, dry_run: bool, plan: &Plan) -> Self {
        let tags = plan.tags().iter().map(|planned| DeletedTag {
            tag: planned.tag.to_string(),
            digest: planned.manifest.digest().to_string(),
            created: planned.created.map(time),
            manifest_stays: planned.manifest_stays,
        });
        Self {
            repository: location.to_string(),
            dry_run,
            tags: tags.collect(),
            manifests: plan.manifests().to_vec(),
            kept: plan.kept(),
            unknown_age: plan
                .of_unknown_age()
                .iter()
                .map(ToString::to_string)
                .collect(),
            moved: Vec::new(),
            failed: 0,
        }
    }

    /// Keeps what was really deleted.
    fn of(mut self, outcome: &DeletionOutcome) -> Self {
        let deleted: HashSet<String> = outcome
            .deleted
            .iter()
            .map(|manifest| manifest.digest().to_string())
            .collect();
        let untagged: HashSet<&str> = outcome.untagged.iter().map(Tag::as_str).collect();
        self.tags.retain(|tag| match tag.manifest_stays {
            true => untagged.contains(&*tag.tag),
            false => deleted.contains(&tag.digest),
        });
        self.manifests.clone_from(&outcome.deleted);
        self.moved = outcome.moved.iter().map(ToString::to_string).collect();
        self.failed = outcome.failures.len();
        self
    }
}

impl fmt::Display for Deletion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for tag in &self.tags {
            write!(f, "{} {}", tag.tag, tag.digest)?;
            if let Some(created) = &tag.created {
                write!(f, " {created}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

pub(super) async fn run(args: Delete, location_options: &OpenOptions, output: Output) -> Outcome {
    let [location] = args.references.as_slice() else {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "tags are chosen in one repository at a time",
        )
        .with_hint("run the command once for each repository")
        .into());
    };
    no_reference(location)?;
    let mut selection = Selection::default().with_tags(args.tags.filter()?);
    selection.older_than = args.older_than.map(|age| age.0);
    selection.keep = args.keep.map(|count| count as usize);
    let repository = open_existing(location, location_options).await?;
    let plan = plan(&*repository, &selection).await.within(location)?;
    tell(&plan, args.dry_run, output);
    if args.dry_run || plan.tags().is_empty() {
        return output
            .print(&Deletion::new(location, args.dry_run, &plan))
            .await;
    }
    if !args.yes {
        for tag in plan.tags() {
            output.note(format_args!("{} {}", tag.tag, tag.manifest.digest()));
        }
        let question = format!("Delete {} of {location}?", summary(&plan));
        confirm(&question, args.yes).await?;
        // The question may have waited for hours.
        let now = tranship_artifact::retention::plan(&*repository, &selection).await;
        if !plan.is_same(&now.within(location)?) {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the repository has changed since the question, and nothing was deleted",
            )
            .with_subject(location)
            .with_hint("run the command again")
            .into());
        }
    }
    let outcome = plan.carry_out(&*repository).await;
    for tag in &outcome.moved {
        output.note(format_args!(
            "warning: {tag} was moved or removed by another program, and is left alone"
        ));
    }
    let deletion = Deletion::new(location, false, &plan).of(&outcome);
    output.print(&deletion).await?;
    let mut failures = outcome.failures.into_iter();
    let Some(first) = failures.next() else {
        return Ok(());
    };
    let others = failures.len();
    if others > 0 && !output.is_json() {
        output.note(format_args!(
            "error: {} deletions failed, the first of them:",
            others + 1
        ));
    }
    Err(first).within(location)
}

fn summary(plan: &Plan) -> String {
    let (tags, manifests) = (plan.tags().len(), plan.manifests().len());
    format!(
        "{tags} {} and {manifests} {}",
        if tags == 1 { "tag" } else { "tags" },
        if manifests == 1 {
            "manifest"
        } else {
            "manifests"
        }
    )
}

/// Says what the plan does, and why some tags are not part of it.
fn tell(plan: &Plan, dry_run: bool, output: Output) {
    if output.is_json() {
        return;
    }
    let unknown = plan.of_unknown_age();
    if let Some(first) = unknown.first() {
        output.note(format_args!(
            "{} of the chosen tags stay, as it is not known when they were created: {first}{}",
            unknown.len(),
            if unknown.len() > 1 { " and others" } else { "" }
        ));
    }
    let verb = if dry_run { "would delete" } else { "deletes" };
    output.note(format_args!(
        "{verb} {}; {} tags stay",
        summary(plan),
        plan.kept()
    ));
}
