//! The arguments of `repo`, and of `ls` and `tags` that do the same.

use clap::{Args, Subcommand, ValueEnum};
use tranship::TagOrDigest;
use tranship_backends::Location;

use super::tag_filter::TagFilterArgs;
use crate::location::{Listed, RegistryPart};

#[derive(Debug, Subcommand)]
pub(crate) enum Repo {
    #[command(aliases = ["list-tags", "show-tags"])]
    Tags(Box<RepoTags>),
    #[command(alias = "list")]
    Ls(RepoLs),
}

/// List the tags of a repository
///
/// In ASCII order, unless --sort says otherwise. What cannot be sorted, such as tags that are not versions, comes first,
/// and with --reverse last.
#[derive(Debug, Args)]
pub(crate) struct RepoTags {
    /// A location, without a tag
    #[arg(value_name = "LOCATION")]
    pub(crate) location: Location,
    #[command(flatten)]
    pub(crate) choice: TagChoice,
    /// List instead the digests of the manifests without a tag, of an image layout or an archive
    #[arg(long, conflicts_with_all = ["TagChoice", "TagFilterArgs", "last", "limit"])]
    pub(crate) untagged: bool,
    #[command(flatten)]
    pub(crate) page: PageArgs,
}

/// Which tags are listed, and in which order.
#[derive(Debug, Default, Args)]
pub(crate) struct TagChoice {
    #[command(flatten)]
    pub(crate) filter: TagFilterArgs,
    /// Only tags that name what this tag or digest names. Each tag is resolved, at one request each in a registry
    #[arg(long, value_name = "TAG|DIGEST")]
    pub(crate) digest: Option<TagOrDigest>,
    /// Leave out tags that attach something to a digest, such as sha256-….sig
    #[arg(long)]
    pub(crate) exclude_digest_tags: bool,
    /// The order: by time reads the manifest and the config of each tag
    #[arg(long, value_enum, default_value_t = TagOrder::Name, value_name = "ORDER")]
    pub(crate) sort: TagOrder,
    /// Reverse the order, such as the newest version first
    #[arg(long)]
    pub(crate) reverse: bool,
}

impl TagChoice {
    /// Whether all tags are listed as they come.
    pub(crate) fn is_all(&self) -> bool {
        self.filter.is_empty()
            && self.digest.is_none()
            && !self.exclude_digest_tags
            && self.sort == TagOrder::Name
            && !self.reverse
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum TagOrder {
    /// ASCII order
    #[default]
    Name,
    /// The order of versions: v1.9 before v1.10, and v2.0.0-rc1 before v2.0.0
    Version,
    /// When the image was created, as its config or its annotations say
    Time,
}

/// List the repositories of a registry
#[derive(Debug, Args)]
pub(crate) struct RepoLs {
    /// A registry: layouts:ROOT, layouts:URL or a host. With the beginning of names behind it, as in HOST/TEAM or
    /// layouts:ROOT//TEAM, only that repository and those below it
    #[arg(value_name = "REGISTRY[/PREFIX]")]
    pub(crate) location: RegistryPart,
    #[command(flatten)]
    pub(crate) page: PageArgs,
}

/// List the repositories of a registry, or the tags of a repository
///
/// As `repo ls` for a registry, and as `repo tags` for a repository.
#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// A registry or a repository
    #[arg(value_name = "LOCATION")]
    pub(crate) location: Listed,
    #[command(flatten)]
    pub(crate) page: PageArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PageArgs {
    /// List what follows this in ASCII order
    #[arg(long, value_name = "NAME")]
    pub(crate) last: Option<String>,
    /// List at most this many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}
