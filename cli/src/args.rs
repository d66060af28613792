//! The arguments, as clap reads them. Their comments are the help that users see.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use tranship::{
    CopyOptions, Digest, MAX_MANIFEST_SIZE, MediaType, Platform, RegistryName, Result, Tag,
};
use tranship_backends::{Durability, OpenOptions};
use tranship_backends::{Location, RegistryLocation};

use crate::exit;
use crate::foreign;
use crate::input::Input;
use crate::location::{
    self, AnnotationFilter, DurationArg, GrantArg, LayoutLocations, RangeArg, StoreOption,
};
use crate::output::Format;
use crate::registries::Registries;

/// Copies and looks into OCI artifacts: images, and whatever else registries hold
#[derive(Debug, Parser)]
#[command(
    name = "tranship",
    version,
    after_help = location::HELP,
    after_long_help = location::HELP.to_owned() + "\n\n" + exit::HELP,
    arg_required_else_help = true,
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

/// How locations are opened.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options for locations")]
pub(crate) struct LocationOptions {
    /// What survives a power cut, of what is written to a local disk
    #[arg(long, global = true, value_enum, default_value_t = DurabilityArg::Full)]
    pub(crate) durability: DurabilityArg,
    /// A setting of an object store, such as region=eu-central-1, named as the crate object_store does; may be
    /// repeated. The environment is the better place for secrets, since others may see a command line
    #[arg(long = "store-option", global = true, value_name = "KEY=VALUE")]
    pub(crate) store_options: Vec<StoreOption>,
    /// Write also to an object store without conditional PUT. Of two who write there at once, one loses tags:
    /// only for a single writer
    #[arg(long, global = true)]
    pub(crate) unconditional_put: bool,
    /// In an image layout that is read (oci:PATH), follow symbolic links to files below DIR. Build tools such as Bazel
    /// make layouts of links
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) follow_links: Option<PathBuf>,
    /// How large a compressed archive may be when it is decompressed [default: 64 GiB]
    #[arg(long, global = true, value_name = "BYTES")]
    pub(crate) max_unpacked_size: Option<u64>,
    #[command(flatten)]
    pub(crate) registries: Registries,
}

impl LocationOptions {
    pub(crate) fn open_options(self) -> Result<OpenOptions> {
        let options = OpenOptions::default()
            .with_durability(self.durability.into())
            .with_unconditional_put(self.unconditional_put)
            .with_follow_links(self.follow_links)
            .with_max_unpacked_size(self.max_unpacked_size);
        let options = self.registries.add_to(options)?;
        let settings = self.store_options.into_iter();
        Ok(settings.fold(options, |options, setting| {
            options.with_store_option(setting.key, setting.value)
        }))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DurabilityArg {
    /// All that a finished command has stored: it is synced first
    Full,
    /// Not always what was stored in the last seconds, and it may be damaged; much faster for small files. The death
    /// of the program alone does no harm
    Relaxed,
}

impl From<DurabilityArg> for Durability {
    fn from(durability: DurabilityArg) -> Self {
        match durability {
            DurabilityArg::Full => Self::Full,
            DurabilityArg::Relaxed => Self::Relaxed,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(visible_alias = "copy")]
    Cp(Cp),
    #[command(alias = "digest")]
    Resolve(Resolve),
    Tag(TagArgs),
    Untag(Untag),
    /// Fetch, push and delete manifests
    #[command(subcommand)]
    Manifest(Manifest),
    /// Fetch, push and delete blobs
    #[command(subcommand)]
    Blob(Blob),
    /// List repositories and their tags
    #[command(subcommand)]
    Repo(Repo),
    #[command(aliases = ["tree", "referrers"])]
    Discover(Discover),
    Gc(Gc),
    Fsck(Fsck),
    Login(Login),
    Logout(Logout),
    Serve(Box<Serve>),
    Completion(Completion),
    #[cfg(feature = "man")]
    Man(Man),
}

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
    pub(crate) platform: PlatformArg,
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
}

#[derive(Debug, Args)]
pub(crate) struct PlatformArg {
    /// Of an index, only the manifest for this platform, such as linux/arm64
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,
}

/// Print the digest of what a tag names
#[derive(Debug, Args)]
pub(crate) struct Resolve {
    /// A location with a tag or digest
    #[arg(value_name = "REF")]
    pub(crate) reference: Location,
    /// Print the location with the digest, not the digest alone
    #[arg(long, short = 'l')]
    pub(crate) full: bool,
    #[command(flatten)]
    pub(crate) platform: PlatformArg,
}

/// Give a manifest further tags
#[derive(Debug, Args)]
pub(crate) struct TagArgs {
    /// A location with a tag or digest
    #[arg(value_name = "REF")]
    pub(crate) reference: Location,
    /// The tags to set; one that exists moves
    #[arg(value_name = "TAG", required = true)]
    pub(crate) tags: Vec<Tag>,
}

/// Remove tags, and leave what they name
///
/// Nothing is removed unless every one of the tags exists.
#[derive(Debug, Args)]
pub(crate) struct Untag {
    /// Locations with a tag each
    #[arg(value_name = "REF", required = true)]
    pub(crate) references: Vec<Location>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Manifest {
    #[command(aliases = ["get", "inspect", "show"])]
    Fetch(ManifestFetch),
    Push(ManifestPush),
    /// Delete a manifest, and with it the tags that point at it
    #[command(visible_alias = "rm")]
    Delete(Delete),
}

/// Print a manifest, byte for byte as it is stored
///
/// With --format json it is one member of an object beside its descriptor.
#[derive(Debug, Args)]
pub(crate) struct ManifestFetch {
    /// A location with a tag or digest
    #[arg(value_name = "REF")]
    pub(crate) reference: Location,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Print the descriptor: media type, digest and size
    #[arg(long)]
    pub(crate) descriptor: bool,
    /// Indent the JSON; the digest is not that of what is printed then
    #[arg(long)]
    pub(crate) pretty: bool,
    #[command(flatten)]
    pub(crate) platform: PlatformArg,
}

/// Store a manifest from a file
///
/// Prints its digest.
#[derive(Debug, Args)]
pub(crate) struct ManifestPush {
    /// Where to, with a tag, with the digest that the manifest must have, or with neither
    #[arg(value_name = "LOCATION", value_parser = location::parse_destination)]
    pub(crate) location: Location,
    /// The file, or - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) input: Input,
    /// What kind of manifest it is [default: what it says of itself]
    #[arg(long, value_name = "TYPE")]
    pub(crate) media_type: Option<MediaType>,
    /// A further tag to set; may be repeated
    #[arg(long = "tag", short, value_name = "TAG")]
    pub(crate) tags: Vec<Tag>,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// What to delete
    #[arg(value_name = "REF")]
    pub(crate) reference: Location,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Blob {
    #[command(alias = "get")]
    Fetch(BlobFetch),
    Push(BlobPush),
    /// Delete a blob, whether or not something refers to it
    #[command(visible_alias = "rm")]
    Delete(Delete),
}

/// Print a blob, or write it to a file
///
/// A file appears under its name only when the blob is complete and has the right digest. Standard output gets the
/// bytes as they come: if the exit code is not 0, they are not to be trusted.
#[derive(Debug, Args)]
pub(crate) struct BlobFetch {
    /// A location with a digest
    #[arg(value_name = "REF")]
    pub(crate) reference: Location,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Only these bytes, the first being 0: START-END with both inclusive, or START- to the end. Their digest cannot
    /// be checked
    #[arg(long, value_name = "START-[END]")]
    pub(crate) range: Option<RangeArg>,
}

/// Store a blob from a file
///
/// Prints its digest. Standard input, and any other pipe, whose digest and size are not given is first kept in a
/// temporary file; TMPDIR says where.
#[derive(Debug, Args)]
pub(crate) struct BlobPush {
    /// Where to; may have the digest that the blob must have
    #[arg(value_name = "LOCATION", value_parser = foreign::parse_written)]
    pub(crate) location: Location,
    /// The file, or - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) input: Input,
    /// The digest that the blob must have
    #[arg(long)]
    pub(crate) digest: Option<Digest>,
    /// The size that it must have
    #[arg(long, value_name = "BYTES")]
    pub(crate) size: Option<u64>,
    /// What --format json says that it is; nothing is stored of it
    #[arg(long, value_name = "TYPE", default_value_t = MediaType::OCTET_STREAM)]
    pub(crate) media_type: MediaType,
}

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

/// Keep the credentials for a registry, once it has accepted them
///
/// Asks for what is not given. They are kept where docker and podman look for them, by their credential helper if one
/// is configured.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The registry's host, as ghcr.io or localhost:5000
    #[arg(value_name = "REGISTRY")]
    pub(crate) registry: RegistryName,
    /// The user name
    #[arg(long, short, value_name = "NAME")]
    pub(crate) username: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// Read an identity token from standard input, instead of a name and a password
    #[arg(long, conflicts_with_all = ["username", "password_stdin"])]
    pub(crate) identity_token_stdin: bool,
    /// Fail rather than store the credentials unencrypted in a file, where no credential helper is set up
    #[arg(long)]
    pub(crate) no_plain_text: bool,
}

/// Forget the credentials for a registry
#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// The registry's host
    #[arg(value_name = "REGISTRY")]
    pub(crate) registry: RegistryName,
}

/// Serve a registry over HTTP
///
/// Prints the URL and serves until it is stopped. On SIGTERM and Ctrl-C requests under way are finished; a second
/// signal cuts them off. What happens is logged to standard error, with --format json as one JSON object a line.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// What to serve: a directory of layouts, by path or URL, or the host of another registry, with a dot or a port
    /// [default: an empty registry in memory]
    #[arg(long, value_name = "LOCATION", value_parser = location::parse_root)]
    pub(crate) root: Option<RegistryLocation>,
    /// The address and the port to listen on; port 0 is any that is free
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5000")]
    pub(crate) listen: String,
    /// How much the registry in memory may hold [default: as much as there is]
    #[arg(long, value_name = "BYTES", conflicts_with = "root")]
    pub(crate) quota: Option<u64>,
    /// Store and delete nothing
    #[arg(long)]
    pub(crate) read_only: bool,
    /// With another registry as --root, store and delete too. Everyone who is let in does so with your login, so
    /// without this option such a registry is served read-only
    #[arg(long, conflicts_with = "read_only")]
    pub(crate) read_write: bool,
    /// Delete nothing
    #[arg(long)]
    pub(crate) no_delete: bool,
    /// Let in only users of this file, as `htpasswd -B` writes it. It is read again when it changes
    #[arg(long, value_name = "FILE")]
    pub(crate) htpasswd: Option<PathBuf>,
    /// With --htpasswd, let everyone read without a password. Docker asks for a login all the same
    #[arg(long, requires = "htpasswd")]
    pub(crate) anonymous_read: bool,
    /// With --htpasswd, let a user read, or read and write, the repositories of a pattern in which * stands for a part
    /// of a component and ** for components. May be repeated; without it, every user may do everything
    #[arg(
        long = "grant",
        requires = "htpasswd",
        value_name = "USER=PATTERN:r|rw"
    )]
    pub(crate) grants: Vec<GrantArg>,
    /// Serve over TLS, with the certificates of this PEM file. It is read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key of the certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Also take manifests that refer to blobs or manifests which the repository does not have, as sparse indexes do
    #[arg(long)]
    pub(crate) sparse: bool,
    /// Let clients continue an upload on another server of the same place
    #[arg(long)]
    pub(crate) shared: bool,
    /// Put this warning in every answer
    #[arg(long, value_name = "TEXT")]
    pub(crate) warning: Option<String>,
    /// Refuse larger manifests
    #[arg(long, value_name = "BYTES", default_value_t = MAX_MANIFEST_SIZE)]
    pub(crate) max_manifest_size: u64,
    /// Refuse larger blobs
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_blob_size: Option<u64>,
    /// How many uploads may be open at a time
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) max_uploads: u32,
    /// How many uploads one user may have open at a time; without --htpasswd, one client address
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(crate) max_uploads_per_user: u32,
    /// Cancel uploads that have not been continued for this time, those of earlier runs too
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub(crate) upload_expiry: DurationArg,
    /// How many connections may be open at a time; others wait
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_connections: u32,
    /// How long a client may send or take nothing in the middle of a request
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub(crate) timeout: DurationArg,
    /// How long requests under way may take when it is to stop
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub(crate) grace: DurationArg,
}

/// Print the completions for a shell
#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell
    pub(crate) shell: Shell,
}

/// Print the manual page, or write those of all commands
#[cfg(feature = "man")]
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write the pages of all commands into this directory
    #[arg(long, short, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}
