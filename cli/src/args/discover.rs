//! The arguments of `discover`.

use clap::Args;
use tranship::MediaType;
use tranship_backends::Location;

use super::platform::PlatformArg;

/// Show what refers to a manifest: signatures, SBOMs and the like
///
/// As a tree, or with --format json as a list in the order of the tree. What is attached by tags such as
/// sha256-….sig, as cosign does, is shown with its tag.
#[derive(Debug, Args)]
pub(crate) struct Discover {
    /// A location with a tag or digest
    #[arg(value_name = "REF")]
    pub(crate) reference: Location,
    /// Only artifacts of this type, and what refers to them
    #[arg(long, value_name = "TYPE")]
    pub(crate) artifact_type: Option<MediaType>,
    /// How many levels [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) depth: Option<u32>,
    /// Show the annotations of each artifact, which --format json always has
    #[arg(long)]
    pub(crate) annotations: bool,
    /// Leave out what is attached by tags such as sha256-….sig
    #[arg(long)]
    pub(crate) no_digest_tags: bool,
    #[command(flatten)]
    pub(crate) platform: PlatformArg,
}
