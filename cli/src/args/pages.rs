//! The arguments of the commands that print completions and manual pages.

use clap::Args;
use clap_complete::Shell;

/// Print the completions for a shell
#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell
    pub(crate) shell: Shell,
}

/// Print the manual page, or write those of all commands
#[cfg(feature = "man")]
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write the pages of all commands into this directory
    #[arg(long, short, value_name = "DIR")]
    pub(crate) output: Option<std::path::PathBuf>,
}
