//! `mirror`: many images, as a file says.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;
use tranship::{Error, ErrorKind, Result, Tag};
use tranship_mirror::file;
use tranship_mirror::prune::PrunePlan;
use tranship_mirror::rules::Rules;
use tranship_mirror::select::{self, Selection, Target};

use super::many::{self, Choices, FailureLine, Images, Locations, failure_lines};
use crate::args::{LocationOptions, Mirror};
use crate::command_error::{CommandError, Outcome};
use crate::confirm::confirm;
use crate::input;
use crate::output::{self, Output};
use crate::report::Report;
use crate::run::stop_signal;

/// From this size on, in bytes, a blob is continued where an interrupted run stopped.
const LARGE: u64 = 4 * 1024 * 1024;

/// What happened in a run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Mirrored {
    dry_run: bool,
    images: Images,
    /// Repositories and patterns that could not be listed.
    not_listed: Vec<FailureLine>,
    /// Repositories and patterns in which nothing was chosen.
    empty: Vec<String>,
    pruned: Pruned,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Pruned {
    /// The tags that were deleted, by repository.
    tags: BTreeMap<String, Vec<Tag>>,
    /// Repositories that were left alone, because something that leads to them failed.
    skipped: Vec<String>,
    failures: Vec<FailureLine>,
}

pub(super) async fn run(
    args: Mirror,
    location_options: LocationOptions,
    output: Output,
) -> Outcome {
    let Some(path) = args.file.as_deref().filter(|_| !args.schema) else {
        return output::write(file::SCHEMA.as_bytes()).await;
    };
    let Some(pause) = &args.watch else {
        let rules = read(path, &args).await?;
        return once(
            &args,
            &rules,
            &location_options,
            &mut Choices::default(),
            output,
        )
        .await;
    };
    if args.prune && !args.yes {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "a mirror that watches cannot ask before it deletes",
        )
        .with_hint("give --yes to delete without a question")
        .into());
    }
    if path == Path::new("-") {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "standard input cannot be read again",
        )
        .with_hint("write the rules to a FILE for --watch")
        .into());
    }
    // An error in the file ends the first run, and not later ones.
    let mut rules = read(path, &args).await?;
    let mut choices = Choices::default();
    let rounds = async {
        loop {
            let done = once(&args, &rules, &location_options, &mut choices, output).await;
            match done {
                Ok(()) => {}
                Err(CommandError::Error(error, place)) => tell(&error, place.as_deref(), output),
                Err(CommandError::Incomplete(message, _)) => {
                    output.note(format_args!("error: {message}"));
                }
                Err(other) => return Err(other),
            }
            tokio::time::sleep(pause.0).await;
            match read(path, &args).await {
                Ok(changed) => rules = changed,
                Err(error) => {
                    tell(&error, None, output);
                    output.note("the rules that were read before stay in effect");
                }
            }
        }
    };
    tokio::select! {
        ended = rounds => ended,
        _ = stop_signal() => Ok(()),
    }
}

fn tell(error: &Error, place: Option<&str>, output: Output) {
    output.note(Report::new(error).at(place).line());
}

async fn read(path: &Path, args: &Mirror) -> Result<Rules> {
    let content = input::read_text(path, file::MAX_FILE_SIZE as u64).await?;
    let name = path.display().to_string();
    let format = args.file_format.map(Into::into);
    file::read(&content, &name, format, args.to.as_ref())
}

/// Mirrors once.
async fn once(
    args: &Mirror,
    rules: &Rules,
    location_options: &LocationOptions,
    choices: &mut Choices,
    output: Output,
) -> Outcome {
    for note in &rules.notes {
        output.note(format_args!("note: {note}"));
    }
    let mut options = location_options.clone();
    options.registries.add_settings(&rules.registries);
    let opener = Locations::new(&options.open_options()?);
    choices.dry_run = args.dry_run;
    choices.repair = args.repair;
    choices.resumable_from = Some(LARGE);
    let given = args
        .concurrency
        .and_then(|count| usize::from(count).try_into().ok());
    choices.concurrency = given.or(rules.concurrency);

    let choice = select::choose(&rules.rules, &opener).await?;
    many::tell_choice(&choice, output);
    let selection = select::assign(&rules.rules, &choice, &opener).await?;
    let Selection {
        images, targets, ..
    } = selection;
    let report = many::copy(images, choices, output).await?;
    let copied = Images::new(&report, args.dry_run);
    if !output.is_json() {
        output.print(&copied).await?;
        output.note(copied.summary());
    }
    let pruned = if args.prune {
        prune(&targets, &report, args, output).await
    } else {
        Ok(Pruned::default())
    };
    let (pruned, refused) = match pruned {
        Ok(pruned) => (pruned, None),
        Err(refused) => (Pruned::default(), Some(refused)),
    };
    let mirrored = Mirrored {
        dry_run: args.dry_run,
        images: copied,
        not_listed: failure_lines(
            choice
                .failures
                .iter()
                .map(|failure| (failure.name.as_str(), &failure.error)),
        ),
        empty: choice.empty,
        pruned,
    };
    if output.is_json() {
        output.print_json(&mirrored).await?;
    } else {
        output.print(&mirrored.pruned).await?;
    }
    match refused {
        Some(refused) => Err(refused),
        None => {
            let deletions = mirrored.pruned.failures.len();
            many::outcome(&report, &choice.failures, deletions)
        }
    }
}

/// Deletes what no rule chooses, if the user agrees.
async fn prune(
    targets: &[Target],
    report: &tranship_mirror::jobs::Report,
    args: &Mirror,
    output: Output,
) -> Outcome<Pruned> {
    let plan = PrunePlan::make(targets, report).await;
    let mut pruned = Pruned {
        tags: planned_tags(&plan),
        skipped: plan.skipped.clone(),
        failures: failure_lines(
            plan.failures
                .iter()
                .map(|(name, error)| (name.as_str(), error)),
        ),
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
    let count = plan.tag_count();
    if args.dry_run || count == 0 {
        return Ok(pruned);
    }
    if !args.yes {
        for (repository, tags) in &pruned.tags {
            for tag in tags {
                output.note(format_args!("{repository}:{tag}"));
            }
        }
        let (tags, repositories) = (many::plural(count, "tag"), plan.repositories.len());
        let repositories = match repositories {
            1 => "1 repository".to_owned(),
            count => format!("{count} repositories"),
        };
        let question = format!("Delete {tags} of {repositories}?");
        confirm(&question, args.yes).await?;
    }
    let outcomes = plan.carry_out().await;
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
    for (place, outcome) in &outcomes {
        for moved in &outcome.moved {
            output.note(format_args!(
                "warning: {place}:{moved} was moved or removed by another program, and is left alone"
            ));
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
