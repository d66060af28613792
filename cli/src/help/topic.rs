//! What `help` can be asked about, beside commands.

use clap::ValueEnum;

/// A page about what all commands share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Topic {
    /// The options that all commands have
    Options,
    /// How to write locations
    Locations,
    /// The exit codes
    ExitCodes,
}
