//! The arguments, as clap reads them. Their comments are the help that users see.

mod annotate;
mod blob;
mod bundle;
mod cp;
mod discover;
mod files;
mod fs;
mod index;
mod inspect;
mod layouts;
mod location_options;
mod login;
mod manifest;
mod mirror;
mod pages;
mod platform;
mod repo;
mod serve;
mod tag_filter;
mod tags;
mod token;
mod verify;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::output::Format;

pub(crate) use annotate::Annotate;
pub(crate) use blob::{Blob, BlobDelete, BlobFetch, BlobPush};
pub(crate) use bundle::{
    Backup, Bundle, BundleApply, BundleCreate, BundleDiff, BundleList, BundleLock, BundleOutput,
    BundleVerify, BundleWrite,
};
pub(crate) use cp::{CopySource, Cp, OneCopy};
pub(crate) use discover::Discover;
pub(crate) use files::{Attach, FilesArgs, Pull, Push};
pub(crate) use fs::{Fs, FsCat, FsCp, FsDiff, FsExport, FsLs};
pub(crate) use index::{
    Index, IndexAdd, IndexCreate, IndexRemove, IndexShow, IndexSources, SourceArg,
};
pub(crate) use inspect::Inspect;
pub(crate) use layouts::{Fsck, Gc};
pub(crate) use location_options::LocationOptions;
pub(crate) use login::{Login, Logout};
pub(crate) use manifest::{Delete, Manifest, ManifestFetch, ManifestPush};
pub(crate) use mirror::Mirror;
#[cfg(feature = "man")]
pub(crate) use pages::Man;
pub(crate) use pages::{CompleteLocation, Completion, Help, Version};
pub(crate) use platform::Platforms;
pub(crate) use repo::{Ls, PageArgs, Repo, RepoLs, RepoTags, TagChoice, TagOrder};
pub(crate) use serve::{
    MirrorArg, NoEmptyValues, OidcSettings, RepositorySettings, RootArg, Serve, Settings,
    WebhookAction, WebhookFormat, WebhookSettings,
};
pub(crate) use tags::{Resolve, TagArgs, Untag};
pub(crate) use token::{Token, TokenCreate, TokenList, TokenRevoke};
pub(crate) use verify::Verify;

/// Copies and looks into OCI artifacts: images, and whatever else registries hold
#[derive(Debug, Parser)]
#[command(
    name = "tranship",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    subcommand_required = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(flatten)]
    pub(crate) location_options: LocationOptions,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Show every cause of an error; twice (-vv), also each request and response
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Print only results and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Show no progress bars
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(visible_alias = "copy")]
    Cp(Box<Cp>),
    #[command(visible_alias = "sync")]
    Mirror(Box<Mirror>),
    #[command(subcommand)]
    Bundle(Bundle),
    Backup(Box<Backup>),
    /// Copy a backup, or any other bundle, to a registry or to layouts
    ///
    /// This is `tranship bundle apply`.
    Restore(Box<BundleApply>),
    Push(Box<Push>),
    Pull(Pull),
    Attach(Box<Attach>),
    #[command(alias = "digest")]
    Resolve(Resolve),
    Tag(TagArgs),
    Untag(Untag),
    /// Fetch, push and delete manifests
    #[command(subcommand)]
    Manifest(Manifest),
    /// Make, change and show indexes of manifests
    #[command(subcommand)]
    Index(Box<Index>),
    Annotate(Annotate),
    /// Fetch, push and delete blobs
    #[command(subcommand)]
    Blob(Blob),
    /// List repositories and their tags
    #[command(subcommand)]
    Repo(Repo),
    Ls(Ls),
    #[command(aliases = ["list-tags", "taglist"])]
    Tags(Box<RepoTags>),
    #[command(aliases = ["rmi", "delete", "remove"])]
    Rm(Delete),
    #[command(aliases = ["tree", "referrers"])]
    Discover(Discover),
    Inspect(Inspect),
    /// List, read, copy and compare the files of images
    #[command(subcommand)]
    Fs(Box<Fs>),
    Verify(Verify),
    Gc(Gc),
    Fsck(Fsck),
    Login(Login),
    Logout(Logout),
    Serve(Box<Serve>),
    #[command(subcommand)]
    Token(Token),
    Completion(Completion),
    #[command(hide = true)]
    CompleteLocation(CompleteLocation),
    Version(Version),
    Help(Help),
    #[cfg(feature = "man")]
    Man(Man),
}
