//! The arguments of `cp`.

use clap::Args;
use tranship::{CopyOptions, MediaType, Tag};
use tranship_backends::Location;

use super::platform::PlatformsArg;
use crate::location;
use crate::location::AnnotationFilter;
use crate::registries::{FromOptions, ToOptions};

/// Copy an artifact from one place to another
///
/// All that the artifact refers to is copied with it, and the tags are set last. What the destination has is not
/// copied again; where both are one registry, or one file system, content is mounted or linked. If the copy is
/// interrupted, the same command continues it, inside a large blob too.
///
/// Prints the digest of what was copied; with --dry-run, what there is to do.
#[derive(Debug, Args)]
pub(crate) struct Cp {
    /// What to copy, by tag or digest
    #[arg(value_name = "SRC")]
    pub(crate) source: Location,
    /// Where to; without a tag it gets that of SRC, if SRC has one and there is no --tag
    #[arg(value_name = "DST", value_parser = location::parse_destination)]
    pub(crate) destination: Location,
    /// A tag to set at the destination; may be repeated
    #[arg(long = "tag", short, value_name = "TAG")]
    pub(crate) tags: Vec<Tag>,
    /// Copy also what refers to the artifact: signatures, SBOMs and the like
    #[arg(long, short)]
    pub(crate) recursive: bool,
    /// With -r, only artifacts of this type; may be repeated
    #[arg(long, value_name = "TYPE", requires = "recursive")]
    pub(crate) artifact_type: Vec<MediaType>,
    /// With -r, only artifacts with this annotation; may be repeated, and all must agree
    #[arg(long, value_name = "KEY[=VALUE]", requires = "recursive")]
    pub(crate) annotation: Vec<AnnotationFilter>,
    /// With -r, how many steps away from the artifact [default: all]
    #[arg(long, value_name = "N", requires = "recursive", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) depth: Option<u32>,
    /// With -r, leave out what is attached by tags such as sha256-….sig, as cosign does
    #[arg(long, requires = "recursive")]
    pub(crate) no_digest_tags: bool,
    #[command(flatten)]
    pub(crate) platforms: PlatformsArg,
    /// How much to transfer at the same time
    #[arg(long, value_name = "N", default_value_t = CopyOptions::DEFAULT_CONCURRENCY as u16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) concurrency: u16,
    /// Print what there is to do, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Look into manifests that the destination has already, and copy what is missing below them
    #[arg(long)]
    pub(crate) repair: bool,
    /// Copy also layers that are not to be distributed, which are left out otherwise
    #[arg(long)]
    pub(crate) include_non_distributable: bool,
    /// Keep nothing of a large blob if the copy is interrupted, so that the next copy begins it anew
    #[arg(long)]
    pub(crate) no_resume: bool,
    #[command(flatten)]
    pub(crate) from: FromOptions,
    #[command(flatten)]
    pub(crate) to: ToOptions,
}
