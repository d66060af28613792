//! The arguments of `cp`.

use std::str::FromStr;

use clap::Args;
use tranship::{CopyOptions, Error, ErrorKind, MediaType, Result, Tag};
use tranship_artifact::tags::{TagFilter, VersionRange};
use tranship_backends::Location;
use tranship_mirror::rules::{Destination, SourcePattern, TagRule, TagSet};

use super::platform::PlatformsArg;
use crate::location;
use crate::location::AnnotationFilter;
use crate::registries::{FromOptions, ToOptions};

/// Copy artifacts from one place to another
///
/// All that an artifact refers to is copied with it, and the tags are set last. What the destination has is not
/// copied again; where both are one registry, or one file system, content is mounted or linked. If the copy is
/// interrupted, the same command continues it, inside a large blob too.
///
/// With --all-tags, --tags, --semver or --latest, several tags of a repository are copied; with a pattern such as
/// HOST/team/** as SRC, several repositories. Their names are kept below DST, unless DST places them by
/// {repository}, {namespace}, {name} or {registry}.
///
/// Prints the digest of what was copied, or a table of several artifacts; with --dry-run, what there is to do.
#[derive(Debug, Args)]
pub(crate) struct Cp {
    /// What to copy, by tag or digest; or a repository, or a pattern, in which * matches a part of a name, and ** any
    /// number of parts
    #[arg(value_name = "SRC")]
    pub(crate) source: CopySource,
    /// Where to; without a tag it gets that of SRC, if SRC has one and there is no --tag
    #[arg(value_name = "DST")]
    pub(crate) destination: CopyDestination,
    #[command(flatten)]
    pub(crate) many: ManyTags,
    #[command(flatten)]
    pub(crate) how: CopyArgs,
}

/// The copy of one artifact.
#[derive(Debug)]
pub(crate) struct OneCopy {
    pub(crate) source: Location,
    pub(crate) destination: Location,
    pub(crate) how: CopyArgs,
}

/// Which tags of a repository are copied, if several are.
#[derive(Debug, Args)]
pub(crate) struct ManyTags {
    /// Copy every tag of SRC
    #[arg(long)]
    all_tags: bool,
    /// Copy the tags of SRC that match one of these patterns, and none that follows a !, such as 'v1.*,!*-rc*'. May be
    /// repeated
    #[arg(
        long = "tags",
        value_name = "GLOB,…",
        value_delimiter = ',',
        conflicts_with = "all_tags"
    )]
    globs: Vec<String>,
    /// Copy the tags of SRC that are versions within this range, such as '>=1.24 <2'
    #[arg(long, value_name = "RANGE", conflicts_with = "all_tags")]
    semver: Option<VersionRange>,
    /// Copy only the N highest versions of these tags
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    latest: Option<u32>,
}

impl ManyTags {
    /// Whether one of the options is given.
    pub(crate) fn is_given(&self) -> bool {
        self.all_tags || !self.globs.is_empty() || self.semver.is_some() || self.latest.is_some()
    }

    pub(crate) fn rule(&self) -> TagRule {
        if self.globs.is_empty() && self.semver.is_none() && self.latest.is_none() {
            return TagRule::default();
        }
        let globs = self.globs.iter();
        let mut filter = globs.fold(TagFilter::default(), |filter, glob| filter.with_glob(glob));
        if let Some(range) = &self.semver {
            filter = filter.with_versions(range.clone());
        }
        let mut set = TagSet::default().with_filter(filter);
        set.latest = self.latest.map(|count| count as usize);
        TagRule::of_set(set)
    }
}

/// SRC of a copy.
#[derive(Debug, Clone)]
pub(crate) enum CopySource {
    One(Location),
    /// Repositories that match a pattern.
    Pattern(SourcePattern),
}

impl FromStr for CopySource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.contains(['*', '?']) {
            true => text.parse().map(Self::Pattern),
            false => text.parse().map(Self::One),
        }
    }
}

/// DST of a copy.
#[derive(Debug, Clone)]
pub(crate) struct CopyDestination {
    text: String,
    /// The location; `None` if it is a registry, or if its name is a template.
    location: Option<Location>,
}

impl CopyDestination {
    /// Returns the destination of one artifact.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidReference`] if it is one of several repositories.
    pub(crate) fn one(&self) -> Result<Location> {
        self.location.clone().ok_or_else(|| {
            Error::new(ErrorKind::InvalidReference, "a repository is missing")
                .with_subject(&self.text)
                .with_hint("name the repository, or copy several with a pattern as SRC")
        })
    }

    /// Returns the location if it names a repository, which may have a tag.
    pub(crate) fn location(&self) -> Option<&Location> {
        self.location.as_ref()
    }

    /// Returns the destination of several repositories.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidReference`] if it cannot hold several.
    pub(crate) fn prefix(&self) -> Result<Destination> {
        self.text.parse()
    }
}

impl FromStr for CopyDestination {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let location = match location::parse_destination(text) {
            Ok(location) => Some(location),
            Err(_) if text.parse::<Destination>().is_ok() => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            text: text.to_owned(),
            location,
        })
    }
}

/// How artifacts are copied.
#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
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
