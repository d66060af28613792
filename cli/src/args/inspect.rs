//! The arguments of `inspect`.

use clap::Args;
use tranship_backends::Location;

use super::platform::PlatformArg;

/// Show what an image or an artifact consists of
///
/// Platforms, layers with the commands that created them, configuration, annotations, sizes, and what refers to it. Of
/// an index of several images the page has a line for each; --platform shows the layers and the configuration of one.
/// No layers are read: sizes are compressed.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A location with a tag or digest
    #[arg(value_name = "REF")]
    pub(crate) reference: Location,
    /// Print the manifest, byte for byte as it is stored
    #[arg(long, conflicts_with = "config")]
    pub(crate) raw: bool,
    /// Print the config of an image, byte for byte as it is stored
    #[arg(long)]
    pub(crate) config: bool,
    /// Do not look for what refers to it
    #[arg(long)]
    pub(crate) no_referrers: bool,
    #[command(flatten)]
    pub(crate) platform: PlatformArg,
}
