//! The arguments of `repo`.

use clap::{Args, Subcommand};
use tranship_backends::{Location, RegistryLocation};

#[derive(Debug, Subcommand)]
pub(crate) enum Repo {
    #[command(aliases = ["list-tags", "show-tags"])]
    Tags(RepoTags),
    #[command(alias = "list")]
    Ls(RepoLs),
}

/// List the tags of a repository
#[derive(Debug, Args)]
pub(crate) struct RepoTags {
    /// A location, without a tag
    #[arg(value_name = "LOCATION")]
    pub(crate) location: Location,
    /// List instead the digests of the manifests without a tag, of an image layout or an archive
    #[arg(long, conflicts_with_all = ["last", "limit"])]
    pub(crate) untagged: bool,
    #[command(flatten)]
    pub(crate) page: PageArgs,
}

/// List the repositories of a registry
#[derive(Debug, Args)]
pub(crate) struct RepoLs {
    /// A registry: layouts:ROOT, layouts:URL or a host
    #[arg(value_name = "REGISTRY")]
    pub(crate) location: RegistryLocation,
    #[command(flatten)]
    pub(crate) page: PageArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PageArgs {
    /// List what stands behind this in ASCII order
    #[arg(long, value_name = "NAME")]
    pub(crate) last: Option<String>,
    /// List so many at the most
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}
