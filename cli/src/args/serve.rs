//! The arguments of `serve`.

use std::path::PathBuf;

use clap::Args;
use tranship::MAX_MANIFEST_SIZE;
use tranship_backends::RegistryLocation;

use crate::location;
use crate::location::{DurationArg, GrantArg};

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
