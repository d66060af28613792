//! `help`: about commands, and about what all commands share.

use clap::ValueEnum as _;
use tranship::{Error, ErrorKind, escape_controls as plain};

use crate::args::Help;
use crate::command_error::Outcome;
use crate::help::{self, Topic};
use crate::output;

pub(super) async fn run(args: &Help) -> Outcome {
    let text = match args.topic.as_slice() {
        [topic] => Topic::from_str(topic, false).ok().map(help::about),
        _ => None,
    };
    let text = match text {
        Some(text) => text,
        None => of_command(&args.topic)?,
    };
    output::write(text.as_bytes()).await
}

/// The help of the command with this path.
fn of_command(path: &[String]) -> Result<String, Error> {
    let mut command = help::command();
    command.build();
    let mut found = &mut command;
    for name in path {
        found = found.find_subcommand_mut(name).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("there is no command and no page {}", plain(name)),
            )
            .with_hint("`tranship help` lists the commands; the pages are options, locations and exit-codes")
        })?;
    }
    Ok(found.render_long_help().to_string())
}
