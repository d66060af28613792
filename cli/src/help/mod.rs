//! The help: examples of every command, and pages about what all commands share.

mod examples;
mod locations;
mod topic;

use clap::{Args as _, Command, CommandFactory as _};

use crate::args::{Cli, Global, LocationOptions};
use crate::exit;

pub(crate) use examples::{Example, examples};
pub(crate) use locations::{LOCATIONS, LOCATIONS_IN_FULL};
pub(crate) use topic::Topic;

/// What the help of a command says instead of repeating the options that all commands have.
const POINTER: &str = "`tranship help options` lists the options that all commands have, such as --format json and \
                       --quiet; `tranship help locations` explains locations.";

/// Returns the command line as clap parses it, with examples in the help of every command.
pub(crate) fn command() -> Command {
    let command = Cli::command()
        .mut_args(|option| {
            let hidden = option.is_global_set();
            option.hide_short_help(hidden).hide_long_help(hidden)
        })
        .after_help(format!("{LOCATIONS}\n\n{POINTER}"))
        .after_long_help(format!("{LOCATIONS}\n\n{}\n\n{POINTER}", exit::HELP));
    with_examples_below(command, "")
}

fn with_examples_below(mut command: Command, path: &str) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|below| below.get_name().to_owned())
        .collect();
    for name in names {
        let path = format!("{path} {name}");
        command = command.mut_subcommand(name, |below| {
            let path = path.trim_start();
            let (short, long) = (after_help(path, 2), after_help(path, usize::MAX));
            with_examples_below(below, path)
                .after_help(short)
                .after_long_help(long)
        });
    }
    command
}

/// The first examples of a command, as many as `limit`, and the pointer.
fn after_help(path: &str, limit: usize) -> String {
    match in_lines(path, limit) {
        Some(examples) => format!("Examples:\n{examples}\n{POINTER}"),
        None => POINTER.to_owned(),
    }
}

/// The first examples of a command, as many as `limit`.
fn in_lines(path: &str, limit: usize) -> Option<String> {
    let shown = examples(path).iter().take(limit);
    let lines: String = shown
        .map(|Example { purpose, command }| format!("  # {purpose}\n  {command}\n"))
        .collect();
    (!lines.is_empty()).then_some(lines)
}

/// Returns the examples of a command for its manual page.
#[cfg(feature = "man")]
pub(crate) fn examples_of(command: &Command) -> Option<String> {
    let name = command.get_display_name()?;
    in_lines(
        &name.strip_prefix("tranship-")?.replace('-', " "),
        usize::MAX,
    )
}

/// The text about a topic.
pub(crate) fn about(topic: Topic) -> String {
    match topic {
        Topic::Options => options(),
        Topic::Locations => LOCATIONS_IN_FULL.to_owned() + "\n",
        Topic::ExitCodes => exit::HELP.to_owned() + "\n",
    }
}

/// The help of all the options that every command has.
fn options() -> String {
    let command = Command::new("tranship")
        .disable_help_flag(true)
        .help_template("{about}\n\n{all-args}");
    LocationOptions::augment_args(Global::augment_args(command))
        .about("All commands have these options, which can be given before or after the name of the command.")
        .mut_args(|option| option.hide_short_help(false).hide_long_help(false))
        .render_long_help()
        .to_string()
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    /// Every command that does something, by its path.
    fn paths(command: &Command, path: &str, found: &mut Vec<String>) {
        for below in command
            .get_subcommands()
            .filter(|below| !below.is_hide_set())
        {
            let path = format!("{path} {}", below.get_name());
            if below.has_subcommands() {
                paths(below, &path, found);
            } else {
                found.push(path.trim_start().to_owned());
            }
        }
    }

    fn all_paths() -> Vec<String> {
        let mut found = Vec::new();
        paths(&Cli::command(), "", &mut found);
        found
    }

    #[test]
    fn every_command_has_two_examples() {
        for path in all_paths() {
            assert!(examples(&path).len() >= 2, "{path}");
        }
    }

    #[test]
    fn every_example_is_a_command_line_of_its_command() {
        for path in all_paths() {
            for Example { command: line, .. } in examples(&path) {
                let line = line.split(" > ").next().unwrap_or_default();
                let line = line.rsplit(" | ").next().unwrap_or_default();
                assert!(line.starts_with(&format!("tranship {path}")), "{line}");
                let words = line.split(' ').map(|word| word.trim_matches('\''));
                match command().try_get_matches_from(words) {
                    Ok(_) => {}
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::DisplayHelp, "{line}: {error}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_help_of_a_command_leaves_out_what_all_commands_have() {
        let mut command = command();
        let cp = command.find_subcommand_mut("cp").expect("cp");
        for help in [cp.render_help(), cp.render_long_help()] {
            let help = help.to_string();
            assert!(!help.contains("--durability"), "{help}");
            assert!(help.contains("--recursive"), "{help}");
            assert!(help.contains("# "), "{help}");
            assert!(help.contains("tranship help options"), "{help}");
        }
    }

    #[test]
    fn the_page_of_options_has_every_global_option() {
        let text = options();
        for option in Cli::command().get_arguments() {
            if let Some(name) = option.get_long() {
                assert!(text.contains(&format!("--{name}")), "{name}");
            }
        }
    }
}
