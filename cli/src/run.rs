//! From the arguments to the exit code.

use std::error::Error as _;
use std::ffi::OsString;
use std::io::Write as _;
use std::time::Duration;

use clap::FromArgMatches as _;
use clap::error::{ContextKind, ContextValue, ErrorKind as ClapErrorKind};
use tokio::runtime::Builder;
use tranship::Error;

use crate::args::{Cli, Command, LocationOptions};
use crate::command;
use crate::command_error::CommandError;
use crate::exit::Status;
use crate::foreign;
use crate::help;
use crate::log;
use crate::output::Format;
use crate::output::Output;
use crate::progress;
use crate::report::Report;
use crate::signals::stop_signal;
use crate::terminal;
use crate::waiting::{show_waiting, stop_waiting};

/// How long blocking work, such as a file system call under way, may go on when all else has ended.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn run(arguments: Vec<OsString>) -> Status {
    let cli = match parse(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(error, &arguments),
    };
    let output = Output {
        format: cli.global.format,
        quiet: cli.global.quiet,
        // Bars and lines on one terminal overwrite each other.
        no_progress: cli.global.no_progress || cli.global.verbose > 1,
        traces: cli.global.verbose > 1,
    };
    let runtime = match runtime_for(&cli.command).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = Error::io("the program cannot start its threads", error);
            Report::new(&error).print(output.format, cli.global.verbose > 0);
            return Status::from(&error);
        }
    };
    let log = (output.traces && !matches!(cli.command, Command::Serve(_)))
        .then(|| log::begin(output, None));
    let outcome = runtime.block_on(until_stopped(cli.command, cli.location_options, output));
    runtime.shutdown_timeout(PATIENCE);
    drop(log);
    let was_hidden = terminal::restore();
    match outcome {
        Ok(()) | Err(CommandError::OutputClosed) => Status::Success,
        Err(CommandError::Stopped(status)) => {
            if output.format == Format::Text {
                // On a new line, also after the ^C that a terminal shows.
                let start = if was_hidden { "" } else { "\n" };
                let word = if status == Status::Terminated {
                    "terminated"
                } else {
                    "interrupted"
                };
                let _ = writeln!(std::io::stderr(), "{start}{word}");
            }
            status
        }
        Err(CommandError::Incomplete(message, status)) => {
            Report::incomplete(message, status).print(output.format, false);
            status
        }
        Err(CommandError::Error(error, place)) => {
            Report::new(&error)
                .at(place.as_deref())
                .print(output.format, cli.global.verbose > 0);
            Status::from(&error)
        }
    }
}

/// Parses the arguments. `--config`, as docker and crane call the file of credentials, is `--registry-config` where a command
/// does not have an option of that name itself.
fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    parse_exactly(arguments).or_else(|error| {
        let is_config = matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::String(name)) if name == "--config");
        if error.kind() != ClapErrorKind::UnknownArgument || !is_config {
            return Err(error);
        }
        let renamed: Vec<OsString> = arguments
            .iter()
            .map(|argument| match argument.to_str() {
                Some("--config") => "--registry-config".into(),
                Some(text) => match text.strip_prefix("--config=") {
                    Some(file) => format!("--registry-config={file}").into(),
                    None => argument.clone(),
                },
                None => argument.clone(),
            })
            .collect();
        parse_exactly(&renamed)
    })
}

fn parse_exactly(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = help::command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// One thread that waits and hands on is enough for what one user does: what takes time happens on
/// blocking threads, and with more threads that wait, waking them up costs more than they bring. A
/// server has many users.
fn runtime_for(command: &Command) -> Builder {
    match command {
        Command::Serve(_) => Builder::new_multi_thread(),
        _ => Builder::new_current_thread(),
    }
}

/// Runs a command until it ends or a signal comes. Dropping it cleans up what it had under way.
async fn until_stopped(
    command: Command,
    location_options: LocationOptions,
    output: Output,
) -> Result<(), CommandError> {
    let watches = matches!(&command, Command::Mirror(args) if args.watch.is_some());
    if watches || matches!(command, Command::Serve(_)) {
        // They wait for the signal themselves, to end in good order.
        return command::run(command, location_options, output).await;
    }
    if matches!(command, Command::Login(_) | Command::Logout(_)) {
        // They ask.
        stop_waiting();
    }
    let outcome = tokio::select! {
        outcome = command::run(command, location_options, output) => outcome,
        status = stop_signal() => Err(CommandError::Stopped(status)),
        never = show_waiting(progress::target(output)) => match never {},
    };
    stop_waiting();
    outcome
}

/// What clap answers instead of arguments: help, the version, or what is wrong.
fn refuse(mut error: clap::Error, arguments: &[OsString]) -> Status {
    mend_suggestions(&mut error);
    match error.kind() {
        ClapErrorKind::DisplayHelp | ClapErrorKind::DisplayVersion => {
            return match error.print() {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    Status::CommandError
                }
                _ => Status::Success,
            };
        }
        ClapErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            return Status::Usage;
        }
        _ => {}
    }
    let format = wanted_format(arguments);
    // The core says better than clap what is wrong with a location, and what to write instead.
    if let Some(cause) = error
        .source()
        .and_then(|cause| cause.downcast_ref::<Error>())
    {
        let argument = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(argument)) => argument.split("...").next(),
            _ => None,
        };
        Report::new(cause).at(argument).print(format, false);
        return Status::from(cause);
    }
    let hint = match error.kind() {
        ClapErrorKind::InvalidSubcommand => match error.get(ContextKind::InvalidSubcommand) {
            Some(ContextValue::String(name)) => match parent_of(name, arguments) {
                Some(parent) => foreign::subcommand_hint(parent, name),
                None => foreign::hint(name),
            },
            _ => None,
        },
        ClapErrorKind::UnknownArgument => match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(name)) => foreign::option_hint(name, arguments),
            _ => None,
        },
        _ => None,
    };
    if hint.is_some() || format == Format::Json {
        let mut report = Report::usage(first_paragraph(&error.to_string()));
        report.hint = hint.map(str::to_owned);
        report.print(format, false);
    } else {
        let _ = error.print();
    }
    Status::Usage
}

/// The command before `name`, if that is not the first one.
fn parent_of<'a>(name: &str, arguments: &'a [OsString]) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == name)?;
    let before = arguments.get(at.checked_sub(1)?)?.to_str()?;
    let command = help::command();
    let parent = command.find_subcommand(before)?;
    parent.has_subcommands().then_some(before)
}

/// Takes out suggestions that lead to harm: commands that write, for the name of one that reads, and to take an
/// unknown option for a location.
fn mend_suggestions(error: &mut clap::Error) {
    let is_harmless = |name: &String| !["tag", "untag", "gc"].contains(&name.as_str());
    let kept = match error.remove(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(names)) => {
            let kept: Vec<_> = names.into_iter().filter(is_harmless).collect();
            (!kept.is_empty()).then_some(ContextValue::Strings(kept))
        }
        Some(ContextValue::String(name)) => {
            is_harmless(&name).then_some(ContextValue::String(name))
        }
        other => other,
    };
    if let Some(kept) = kept {
        error.insert(ContextKind::SuggestedSubcommand, kept);
    }
    // An option of another tool must not lead to one that loosens the security here.
    let loosens = |name: &str| {
        ["insecure", "allow", "plain-http"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    let is_harmful = matches!(error.get(ContextKind::SuggestedArg), Some(ContextValue::String(name)) if loosens(name));
    if is_harmful {
        error.remove(ContextKind::SuggestedArg);
        error.remove(ContextKind::Usage);
    }
    if let Some(ContextValue::StyledStrs(tips)) = error.remove(ContextKind::Suggested) {
        let is_value = |tip: &clap::builder::StyledStr| tip.to_string().contains("as a value, use");
        let kept: Vec<_> = tips.into_iter().filter(|tip| !is_value(tip)).collect();
        if !kept.is_empty() {
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(kept));
        }
    }
}

/// What clap says before it goes on about usage, on one line.
fn first_paragraph(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    let lines: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    let text = lines.join(" ");
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}

/// The format that was asked for on a command line that cannot be parsed.
fn wanted_format(arguments: &[OsString]) -> Format {
    let end = arguments.iter().position(|argument| argument == "--");
    let arguments = &arguments[..end.unwrap_or(arguments.len())];
    let is_json = arguments.iter().any(|argument| argument == "--format=json")
        || arguments
            .windows(2)
            .any(|pair| pair[0] == "--format" && pair[1] == "json");
    if is_json { Format::Json } else { Format::Text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_not_taken_for_allow() {
        for command in ["cp", "resolve"] {
            let arguments = ["tranship", command, "--all", "oci:a:v1", "oci:b"].map(OsString::from);
            let mut error = parse(&arguments).expect_err("unknown");
            mend_suggestions(&mut error);
            let text = error.to_string();
            assert!(
                text.contains("--all") && !text.contains("--allow"),
                "{text}"
            );
        }
    }
}
