//! `mirror`: many images, as a file says.

use std::path::Path;

use serde::Serialize;
use tranship::{Error, ErrorKind, Result};
use tranship_mirror::file;
use tranship_mirror::rules::{Rule, Rules};
use tranship_mirror::select::{self, Selection};

use super::many::{
    self, Choices, FailureLine, Images, Locations, PruneChoices, Pruned, failure_lines,
};
use crate::args::{LocationOptions, Mirror};
use crate::command_error::{CommandError, Outcome};
use crate::confirm::{can_ask, cannot_ask};
use crate::input;
use crate::output::{self, Output};
use crate::report::Report;
use crate::signals::stop_signal;

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
    /// What the file has that is not done here.
    notes: Vec<String>,
    pruned: Pruned,
}

pub(super) async fn run(
    args: Mirror,
    location_options: LocationOptions,
    output: Output,
) -> Outcome {
    let Some(path) = args.file.as_deref().filter(|_| !args.schema) else {
        return output::write(file::SCHEMA.as_bytes()).await;
    };
    if args.prune && !args.yes && !args.dry_run && !can_ask() {
        // Before anything is copied.
        return Err(cannot_ask().into());
    }
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
    if pause.0.is_zero() {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "--watch needs a pause of more than 0s",
        )
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
                Err(CommandError::Error(error, place)) => {
                    Report::new(&error)
                        .at(place.as_deref())
                        .print(output.format, false);
                }
                Err(CommandError::Incomplete(message, status)) => {
                    Report::incomplete(message, status).print(output.format, false);
                }
                Err(other) => return Err(other),
            }
            tokio::time::sleep(pause.0).await;
            match read(path, &args).await {
                Ok(changed) => rules = changed,
                Err(error) => {
                    let hint = "the rules that were read before stay in effect";
                    let report = Report::new(&error.with_hint(hint));
                    report.print(output.format, false);
                }
            }
        }
    };
    tokio::select! {
        ended = rounds => ended,
        _ = stop_signal() => Ok(()),
    }
}

async fn read(path: &Path, args: &Mirror) -> Result<Rules> {
    let content = input::read_text(path, file::MAX_FILE_SIZE as u64).await?;
    let name = path.display().to_string();
    let format = args.file_format.map(Into::into);
    let rules = file::read(&content, &name, format, args.to.as_ref())?;
    if rules.rules.is_empty() {
        return Err(Error::new(ErrorKind::InvalidInput, "chooses no images").with_subject(name));
    }
    let of_file = |rule: &&Rule| rule.destination.is_some() && rule.destination != args.to;
    if let (Some(_), Some(rule)) = (&args.to, rules.rules.iter().find(of_file)) {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("already has a destination for {}", rule.source),
        )
        .with_subject(name)
        .with_hint("--to is for files that do not name destinations"));
    }
    match rules.rules.iter().find(|rule| rule.destination.is_none()) {
        None => Ok(rules),
        Some(rule) => Err(Error::new(
            ErrorKind::InvalidInput,
            format!("has no destination for {}", rule.source),
        )
        .with_subject(name)
        .with_hint("give --to DST, such as registry.example/mirror or layouts:DIR")),
    }
}

/// Mirrors once.
async fn once(
    args: &Mirror,
    rules: &Rules,
    location_options: &LocationOptions,
    choices: &mut Choices,
    output: Output,
) -> Outcome {
    if !output.is_json() {
        for note in &rules.notes {
            output.note(format_args!("note: {note}"));
        }
    }
    let mut options = location_options.clone();
    options.registries.keep_rate_limits();
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
        let choices = PruneChoices {
            dry_run: args.dry_run,
            yes: args.yes,
        };
        many::prune(&targets, &report, choices, output).await
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
        empty: choice.empty.into_iter().map(|empty| empty.name).collect(),
        notes: rules.notes.clone(),
        pruned,
    };
    if output.is_json() && args.watch.is_some() {
        // One document in each line.
        output.print_json_line(&mirrored).await?;
    } else if output.is_json() {
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
