//! `completion`: what a shell needs to complete the command line.

use clap::CommandFactory as _;

use crate::args::{Cli, Completion};
use crate::command_error::Outcome;
use crate::output;

pub(super) async fn run(args: &Completion) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tranship", &mut script);
    output::write(&script).await
}
