//! The arguments of `manifest`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tranship::{MediaType, Tag};
use tranship_backends::Location;

use super::platform::PlatformArg;
use crate::input::Input;
use crate::location;

#[derive(Debug, Subcommand)]
pub(crate) enum Manifest {
    #[command(aliases = ["get", "inspect", "show"])]
    Fetch(ManifestFetch),
    Push(ManifestPush),
    /// Delete a manifest, and with it the tags that point at it
    #[command(visible_alias = "rm")]
    Delete(Delete),
}

/// Print a manifest, byte for byte as it is stored
///
/// With --format json it is one member of an object beside its descriptor.
#[derive(Debug, Args)]
pub(crate) struct ManifestFetch {
    /// A location with a tag or digest
    #[arg(value_name = "REF")]
    pub(crate) reference: Location,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Print the descriptor: media type, digest and size
    #[arg(long)]
    pub(crate) descriptor: bool,
    /// Indent the JSON; the digest is not that of what is printed then
    #[arg(long)]
    pub(crate) pretty: bool,
    #[command(flatten)]
    pub(crate) platform: PlatformArg,
}

/// Store a manifest from a file
///
/// Prints its digest.
#[derive(Debug, Args)]
pub(crate) struct ManifestPush {
    /// Where to, with a tag, with the digest that the manifest must have, or with neither
    #[arg(value_name = "LOCATION", value_parser = location::parse_destination)]
    pub(crate) location: Location,
    /// The file, or - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) input: Input,
    /// What kind of manifest it is [default: what it says of itself]
    #[arg(long, value_name = "TYPE")]
    pub(crate) media_type: Option<MediaType>,
    /// A further tag to set; may be repeated
    #[arg(long = "tag", short, value_name = "TAG")]
    pub(crate) tags: Vec<Tag>,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// What to delete
    #[arg(value_name = "REF")]
    pub(crate) reference: Location,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}
