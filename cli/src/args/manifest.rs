//! The arguments of `manifest`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tranship::{MediaType, Tag};
use tranship_backends::Location;

use super::platform::PlatformArg;
use super::tag_filter::TagFilterArgs;
use crate::input::Input;
use crate::location::{self, DurationArg};

#[derive(Debug, Subcommand)]
pub(crate) enum Manifest {
    #[command(aliases = ["get", "inspect", "show"])]
    Fetch(ManifestFetch),
    Push(ManifestPush),
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

/// Delete manifests, and with each the tags that point at it
///
/// With --match, --semver, --older-than or --keep, REF is a repository without a tag, and all its tags that these choose
/// are deleted, with what only they lead to: the manifests of indexes, referrers, and what is attached by tags such as
/// sha256-….sig. A manifest that another tag leads to stays, and only the tag is removed. Blobs are left to garbage
/// collection. Prints the tags, one a line.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// What to delete
    #[arg(value_name = "REF", required = true)]
    pub(crate) references: Vec<Location>,
    #[command(flatten)]
    pub(crate) tags: TagFilterArgs,
    /// Only what was created longer ago, such as 12h or 30d. What does not say when it was created stays
    #[arg(long, value_name = "DURATION")]
    pub(crate) older_than: Option<DurationArg>,
    /// Let the newest N of the chosen tags stay, by the time of creation
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep: Option<u32>,
    /// Print what would be deleted, and delete nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

impl Delete {
    /// Whether tags are chosen, and not named.
    pub(crate) fn selects(&self) -> bool {
        !self.tags.is_empty() || self.older_than.is_some() || self.keep.is_some()
    }
}
