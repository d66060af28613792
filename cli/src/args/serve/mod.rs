//! The arguments of `serve`.

mod empty_values;
mod list;
mod retention;
mod settings;
mod values;
mod webhook;

use std::path::PathBuf;

use clap::Args;

pub(crate) use empty_values::NoEmptyValues;
pub(crate) use settings::{OidcSettings, RepositorySettings, Settings};
pub(crate) use values::{MirrorArg, RootArg};
pub(crate) use webhook::{WebhookAction, WebhookFormat, WebhookSettings};

/// Serve a registry over HTTP
///
/// Prints the URL and serves until it is stopped. On SIGTERM and Ctrl-C requests under way are finished; a second
/// signal cuts them off. What happens is logged to standard error, with --format json as one JSON object a line.
///
/// Every option below can also be a key of FILE, without the dashes in front: `read-only: true`, `mirror: [docker.io]`.
/// An option on the command line takes precedence. FILE is read again when it changes.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// A YAML file with settings, which may also have settings for single repositories
    pub(crate) file: Option<PathBuf>,
    /// Check the settings and the files that they name, and exit
    #[arg(long)]
    pub(crate) check_config: bool,
    #[command(flatten)]
    pub(crate) settings: Settings,
}
