//! The tranship command line: copies and looks into OCI artifacts, wherever they are kept.

mod args;
mod command;
mod command_error;
mod confirm;
mod exit;
mod foreign;
mod help;
mod input;
mod json;
mod location;
mod log;
mod open_files;
mod output;
mod progress;
mod registries;
mod report;
mod run;
mod save;
mod signals;
mod state;
mod table;
#[cfg(feature = "opentelemetry")]
mod telemetry;
mod terminal;
mod waiting;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::run(std::env::args_os().collect()).into()
}
