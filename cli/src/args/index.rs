//! The arguments of `index`.

use std::str::FromStr;

use clap::{ArgGroup, Args, Subcommand};
use tranship::{Error, MediaType, Platform, Result, Tag, TagOrDigest};
use tranship_artifact::index::EntrySelector;
use tranship_backends::Location;

use super::annotate::AnnotationArg;
use super::platform::parse_platform;
use crate::location;

#[derive(Debug, Subcommand)]
pub(crate) enum Index {
    Create(IndexCreate),
    Add(IndexAdd),
    #[command(visible_alias = "rm", alias = "delete")]
    Remove(IndexRemove),
    #[command(alias = "ls")]
    Show(IndexShow),
}

/// Make an index of manifests, such as images for several platforms
///
/// Manifests from other repositories are copied first, and the platform of an image is read from its config. The tags
/// are set last. Prints the digest of the index.
#[derive(Debug, Args)]
pub(crate) struct IndexCreate {
    /// Where to, with a tag or without one
    #[arg(value_name = "LOCATION", value_parser = location::parse_destination)]
    pub(crate) location: Location,
    #[command(flatten)]
    pub(crate) sources: IndexSources,
    /// A further tag to set; may be repeated
    #[arg(long = "tag", short, value_name = "TAG")]
    pub(crate) tags: Vec<Tag>,
    /// What the index is, if it is not an image
    #[arg(long, value_name = "TYPE")]
    pub(crate) artifact_type: Option<MediaType>,
    /// An annotation of the index; may be repeated
    #[arg(long = "annotation", short, value_name = "KEY=VALUE")]
    pub(crate) annotations: Vec<AnnotationArg>,
    /// The manifest that the index refers to: a tag or digest of the same repository
    #[arg(long, value_name = "TAG|DIGEST")]
    pub(crate) subject: Option<TagOrDigest>,
    /// Make a Docker manifest list instead of an OCI index
    #[arg(long, conflicts_with_all = ["artifact_type", "annotations", "subject"])]
    pub(crate) docker: bool,
}

/// Add manifests to an index
///
/// All else in the index stays as it is. If LOCATION has a tag, the tag moves to the changed index, at the end. Prints
/// the digest of that.
#[derive(Debug, Args)]
pub(crate) struct IndexAdd {
    /// The index, by tag or digest
    #[arg(value_name = "LOCATION", value_parser = location::parse_destination)]
    pub(crate) location: Location,
    #[command(flatten)]
    pub(crate) sources: IndexSources,
    /// Remove the entries of the same platforms, and their attestations
    #[arg(long)]
    pub(crate) replace: bool,
    /// A further tag to set; may be repeated
    #[arg(long = "tag", short, value_name = "TAG")]
    pub(crate) tags: Vec<Tag>,
}

/// What an index lists.
#[derive(Debug, Args)]
pub(crate) struct IndexSources {
    /// What to list: locations, or tags and digests of the same repository. Of an index, its entries are listed
    #[arg(value_name = "SRC", required = true)]
    pub(crate) sources: Vec<SourceArg>,
    /// Only these platforms of each SRC, as a list or by repeating the option
    #[arg(
        long = "platform",
        value_name = "OS/ARCH[/VARIANT],…",
        value_delimiter = ',',
        value_parser = parse_platform
    )]
    pub(crate) platforms: Vec<Platform>,
    /// The platform of the new entry, in place of that in the config of the image
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = parse_platform)]
    pub(crate) entry_platform: Option<Platform>,
    /// An annotation of each new entry; may be repeated
    #[arg(long = "entry-annotation", value_name = "KEY=VALUE")]
    pub(crate) entry_annotations: Vec<AnnotationArg>,
    /// List an index as one entry, and not its entries. Many programs do not look into such an entry
    #[arg(long, conflicts_with_all = ["platforms", "entry_platform"])]
    pub(crate) nested: bool,
}

/// Remove manifests from an index
///
/// The attestations of a manifest are removed with it. The manifests stay in the repository, and all else in the index
/// stays as it is. If LOCATION has a tag, the tag moves to the changed index. Prints the digest of that.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("entries").args(["digests", "platforms"]).required(true).multiple(true)))]
pub(crate) struct IndexRemove {
    /// The index, by tag or digest
    #[arg(value_name = "LOCATION")]
    pub(crate) location: Location,
    /// Remove the entry with this digest; may be repeated
    #[arg(long = "digest", value_name = "DIGEST")]
    pub(crate) digests: Vec<tranship::Digest>,
    /// Remove the entries for this platform; a list, or repeated. unknown/unknown removes attestations
    #[arg(
        long = "platform",
        value_name = "OS/ARCH[/VARIANT],…",
        value_delimiter = ',',
        value_parser = parse_platform
    )]
    pub(crate) platforms: Vec<Platform>,
    /// A further tag to set; may be repeated
    #[arg(long = "tag", short, value_name = "TAG")]
    pub(crate) tags: Vec<Tag>,
}

impl IndexRemove {
    pub(crate) fn selectors(&self) -> Vec<EntrySelector> {
        let digests = self.digests.iter().copied().map(EntrySelector::Digest);
        let platforms = self.platforms.iter().cloned();
        digests
            .chain(platforms.map(EntrySelector::Platform))
            .collect()
    }
}

/// Show the entries of an index as a table
#[derive(Debug, Args)]
pub(crate) struct IndexShow {
    /// The index, by tag or digest
    #[arg(value_name = "LOCATION")]
    pub(crate) location: Location,
}

/// A tag or digest of the repository of the index, or a location.
#[derive(Debug, Clone)]
pub(crate) enum SourceArg {
    Here(TagOrDigest),
    Elsewhere(Location),
}

impl FromStr for SourceArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Ok(reference) = text.parse() {
            return Ok(Self::Here(reference));
        }
        text.parse().map(Self::Elsewhere)
    }
}
