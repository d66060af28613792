//! The arguments of the commands about the program itself.

use clap::Args;
use clap_complete::Shell;

/// Print the completions for a shell
#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell
    pub(crate) shell: Shell,
}

/// Print what the last word of a command line may continue with, if it is a location
#[derive(Debug, Args)]
pub(crate) struct CompleteLocation {
    /// The words of the command line, with the name of the program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<String>,
}

/// Print the version, and what is built into this program
#[derive(Debug, Args)]
pub(crate) struct Version {}

/// Print help about a command, or about options, locations or exit-codes
#[derive(Debug, Args)]
pub(crate) struct Help {
    /// A command such as `manifest fetch`, or one of options, locations and exit-codes
    #[arg(value_name = "TOPIC")]
    pub(crate) topic: Vec<String>,
}

/// Print the manual page, or write those of all commands
#[cfg(feature = "man")]
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write the pages of all commands into this directory
    #[arg(long, short, value_name = "DIR")]
    pub(crate) output: Option<std::path::PathBuf>,
}
