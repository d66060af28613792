//! The arguments of `resolve`, `tag` and `untag`.

use clap::Args;
use tranship::Tag;
use tranship_backends::Location;

use super::platform::PlatformArg;

/// Print the digest of what a tag names
#[derive(Debug, Args)]
pub(crate) struct Resolve {
    /// A location with a tag or digest
    #[arg(value_name = "REF")]
    pub(crate) reference: Location,
    /// Print the location with the digest, not the digest alone
    #[arg(long, short = 'l')]
    pub(crate) full: bool,
    #[command(flatten)]
    pub(crate) platform: PlatformArg,
}

/// Give a manifest further tags
#[derive(Debug, Args)]
pub(crate) struct TagArgs {
    /// A location with a tag or digest
    #[arg(value_name = "REF")]
    pub(crate) reference: Location,
    /// The tags to set; one that exists moves
    #[arg(value_name = "TAG", required = true)]
    pub(crate) tags: Vec<Tag>,
}

/// Remove tags, and leave what they name
///
/// Nothing is removed unless every one of the tags exists.
#[derive(Debug, Args)]
pub(crate) struct Untag {
    /// Locations with a tag each
    #[arg(value_name = "REF", required = true)]
    pub(crate) references: Vec<Location>,
}
