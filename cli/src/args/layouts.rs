//! The arguments of the commands for image layouts, `gc` and `fsck`.

use clap::Args;
use tranship_backends::Location;

use crate::location::{DurationArg, LayoutLocations};

/// Remove from image layouts what nothing leads to
///
/// What a tag leads to stays, and what index.json lists without a tag; so do the referrers that it lists. Blobs and
/// manifests that nothing leads to go, and files that processes left behind when they died, once they are older than
/// the grace period. A manifest that cannot be read stops it before anything is removed. Others may use the layout
/// meanwhile.
///
/// Prints what was removed; with --dry-run, what would be.
#[derive(Debug, Args)]
pub(crate) struct Gc {
    /// An image layout, or all of a directory or below a URL: oci:PATH, layouts:ROOT//NAME, layouts:ROOT
    #[arg(value_name = "LOCATION")]
    pub(crate) location: LayoutLocations,
    /// Keep what has changed within this time. It protects what others are pushing
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    pub(crate) grace: DurationArg,
    /// Remove nothing, and print what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove also manifests without a tag whose content is older than this, such as 24h or 7d, unless something that
    /// stays refers to them, or they refer to it
    #[arg(long, value_name = "DURATION")]
    pub(crate) untagged_older_than: Option<DurationArg>,
    /// Remove also referrers without a tag whose subject is not there
    #[arg(long)]
    pub(crate) dangling_referrers: bool,
}

/// Check image layouts: hash everything, and follow every reference
///
/// Prints what is wrong, one finding a line. If there are errors, the exit code is 4.
#[derive(Debug, Args)]
pub(crate) struct Fsck {
    /// An image layout, or all of a directory or below a URL: oci:PATH, layouts:ROOT//NAME, layouts:ROOT
    #[arg(value_name = "LOCATION")]
    pub(crate) location: LayoutLocations,
    /// Replace what is missing or damaged by content from here. What is damaged stays until its replacement is verified
    #[arg(long, value_name = "LOCATION")]
    pub(crate) repair_from: Option<Location>,
}
