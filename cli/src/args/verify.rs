//! The arguments of `verify`.

use clap::Args;
use tranship_backends::Location;

/// Check an image or an artifact: read and hash everything that it leads to
///
/// In a registry, too. Manifests, configs and layers of all platforms are read. Prints what is missing or damaged, one
/// finding a line. If there is any, the exit code is 4.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// A location; without a tag or digest, what all of its tags lead to
    #[arg(value_name = "LOCATION")]
    pub(crate) location: Location,
    /// Check also what refers to it: signatures, SBOMs and the like
    #[arg(long, short)]
    pub(crate) recursive: bool,
    /// Decompress layers, and compare them with what the configs of images say
    #[arg(long)]
    pub(crate) layers: bool,
    /// How much to read at the same time
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) concurrency: u16,
}
