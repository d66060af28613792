//! The arguments, as clap reads them. Their comments are the help that users see.

mod blob;
mod cp;
mod discover;
mod layouts;
mod location_options;
mod login;
mod manifest;
mod pages;
mod platform;
mod repo;
mod serve;
mod tags;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::output::Format;
use crate::{exit, location};

pub(crate) use blob::{Blob, BlobFetch, BlobPush};
pub(crate) use cp::Cp;
pub(crate) use discover::Discover;
pub(crate) use layouts::{Fsck, Gc};
pub(crate) use location_options::LocationOptions;
pub(crate) use login::{Login, Logout};
pub(crate) use manifest::{Delete, Manifest, ManifestFetch, ManifestPush};
pub(crate) use pages::Completion;
#[cfg(feature = "man")]
pub(crate) use pages::Man;
pub(crate) use repo::{PageArgs, Repo, RepoLs, RepoTags};
pub(crate) use serve::Serve;
pub(crate) use tags::{Resolve, TagArgs, Untag};

/// Copies and looks into OCI artifacts: images, and whatever else registries hold
#[derive(Debug, Parser)]
#[command(
    name = "tranship",
    version,
    after_help = location::HELP,
    after_long_help = location::HELP.to_owned() + "\n\n" + exit::HELP,
    arg_required_else_help = true,
    subcommand_required = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(flatten)]
    pub(crate) location_options: LocationOptions,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Show every cause of an error; twice (-vv), also each request and response
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Print only results and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Show no progress bars
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(visible_alias = "copy")]
    Cp(Cp),
    #[command(alias = "digest")]
    Resolve(Resolve),
    Tag(TagArgs),
    Untag(Untag),
    /// Fetch, push and delete manifests
    #[command(subcommand)]
    Manifest(Manifest),
    /// Fetch, push and delete blobs
    #[command(subcommand)]
    Blob(Blob),
    /// List repositories and their tags
    #[command(subcommand)]
    Repo(Repo),
    #[command(aliases = ["tree", "referrers"])]
    Discover(Discover),
    Gc(Gc),
    Fsck(Fsck),
    Login(Login),
    Logout(Logout),
    Serve(Box<Serve>),
    Completion(Completion),
    #[cfg(feature = "man")]
    Man(Man),
}
