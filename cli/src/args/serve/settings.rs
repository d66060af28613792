//! The settings of a server: options of the command line, and keys of a file.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use tranship::{MAX_MANIFEST_SIZE, RepositoryName};

use super::list::{list, patterns_or_all};
use super::retention::RetentionSettings;
use super::values::{
    HostArg, MirrorArg, PatternArg, PublicUrlArg, RateArg, RepositoryGrantArg, RootArg, SizeArg,
};
use super::webhook::WebhookArg;
use crate::location::{DurationArg, GrantArg};

/// Declares [`Settings`], and how those of the command line are combined with those of a file: one that is given
/// replaces the other.
macro_rules! settings {
    ($($(#[$attribute:meta])* $name:ident: $type:ty,)+) => {
        /// The settings of a server. A field that was not given is `None`, `false` or empty.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Args, Deserialize)]
        #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
        pub(crate) struct Settings {
            $($(#[$attribute])* pub(crate) $name: $type,)+
        }

        impl Settings {
            /// Returns these settings, and in place of those that were not given, those of `file`.
            pub(crate) fn over(self, file: Self) -> Self {
                Self {
                    $($name: if self.$name == <$type>::default() { file.$name } else { self.$name },)+
                }
            }
        }
    };
}

settings! {
    /// What to serve: a directory of layouts, by path or URL, or the host of another registry, with a dot or a port
    /// [default: an empty registry in memory]
    #[arg(long, value_name = "LOCATION")]
    root: Option<RootArg>,
    /// The address and the port to listen on; port 0 is any that is free [default: 127.0.0.1:5000]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// How many bytes the registry in memory may hold, such as 10GiB [default: no limit]
    #[arg(long, value_name = "SIZE")]
    quota: Option<SizeArg>,
    /// Store and delete nothing
    #[arg(long)]
    read_only: bool,
    /// With another registry as --root, store and delete too. Every user does so with your login, so
    /// without this option such a registry is served read-only
    #[arg(long)]
    read_write: bool,
    /// Delete nothing
    #[arg(long)]
    no_delete: bool,
    /// Serve the repositories of another registry as NAME/REPOSITORY, and store the content that is read from it. NAME is
    /// its host, and URL its address if it is not https://NAME. May be repeated
    #[arg(long, value_name = "NAME[=URL]")]
    #[serde(deserialize_with = "list")]
    mirror: Vec<MirrorArg>,
    /// Look in this mirror for repositories that are not stored here, as Docker does with its registry-mirrors
    #[arg(long, value_name = "NAME")]
    mirror_fallback: Option<String>,
    /// For how long a tag of a mirror is not looked up again [default: 5m]
    #[arg(long, value_name = "DURATION")]
    mirror_ttl: Option<DurationArg>,
    /// Keep the stored content of the mirrors' repositories that this pattern matches, such as docker.io/library/**,
    /// whatever the --cache-size. May be repeated
    #[arg(long, value_name = "PATTERN")]
    #[serde(deserialize_with = "list")]
    mirror_pin: Vec<PatternArg>,
    /// How many bytes the mirrors may store, such as 200GiB; the content that was read longest ago is deleted first
    /// [default: no limit]
    #[arg(long, value_name = "SIZE")]
    cache_size: Option<SizeArg>,
    /// The directory for the server's private files, such as the order in which cached content was read [default:
    /// .tranship in a root on this machine, else in the user's state directory]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Allow only users of this file, as `htpasswd -B` writes it. It is read again when it changes
    #[arg(long, value_name = "FILE")]
    htpasswd: Option<PathBuf>,
    /// Also allow the accounts of this file, as `tranship token` writes it. It is read again when it changes
    #[arg(long, value_name = "FILE")]
    robots: Option<PathBuf>,
    /// With users, let every caller read without a password: all repositories, or those of this pattern. May be
    /// repeated
    #[arg(
        long,
        value_name = "PATTERN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "**"
    )]
    #[serde(deserialize_with = "patterns_or_all")]
    anonymous_read: Vec<PatternArg>,
    /// With users, let one of them read, or read and write, the repositories of a pattern in which * matches a part
    /// of a component and ** any components. May be repeated; without it, every user may do everything
    #[arg(long, value_name = "USER=PATTERN:r|rw")]
    #[serde(deserialize_with = "list")]
    grant: Vec<GrantArg>,
    /// On a loopback address without users, serve requests also by this host name, such as host.docker.internal. Otherwise
    /// they must name a loopback address, localhost, or the host of --public-url. May be repeated
    #[arg(long, value_name = "HOST")]
    #[serde(deserialize_with = "list")]
    allow_host: Vec<HostArg>,
    /// The URL at which clients reach this server, such as https://registry.example: for tokens, and for URLs in events
    /// [default: the host that clients name; none in events]
    #[arg(long, value_name = "URL")]
    public_url: Option<PublicUrlArg>,
    /// Sign tokens with the secret of this file, at least 32 bytes, so that they stay valid after a restart and at
    /// other servers with the same file [default: a random one]
    #[arg(long, value_name = "FILE")]
    token_key: Option<PathBuf>,
    /// How long a token is valid; clients get a new one themselves [default: 5m]
    #[arg(long, value_name = "DURATION")]
    token_lifetime: Option<DurationArg>,
    /// Send clients to the token service at this URL, and accept its tokens
    #[arg(long, value_name = "URL")]
    auth_realm: Option<String>,
    /// With --auth-realm, the name of this server at the token service, which must be the audience of its tokens
    #[arg(long, value_name = "NAME")]
    auth_service: Option<String>,
    /// With --auth-realm, the issuer of the tokens
    #[arg(long, value_name = "NAME")]
    auth_issuer: Option<String>,
    /// With --auth-realm, the public keys of the issuer: a set of JSON Web Keys, or certificates as PEM. The file is
    /// read again when it changes
    #[arg(long, value_name = "FILE")]
    auth_keys: Option<PathBuf>,
    /// Serve over TLS, with the certificates of this PEM file. It is read again when it changes
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate, as PEM
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Ask clients for a certificate of the authorities in this PEM file. The common name of its subject is the name of
    /// the user, for --grant; clients without one log in otherwise. The file is read again when it changes
    #[arg(long, value_name = "FILE")]
    tls_client_ca: Option<PathBuf>,
    /// Show web pages about the registry at /ui/, also to other machines. Pages on a loopback address need no option
    #[arg(long)]
    ui: bool,
    /// Do not show web pages
    #[arg(long)]
    no_ui: bool,
    /// Also accept manifests that refer to blobs or manifests which the repository does not have, as sparse indexes do
    #[arg(long)]
    sparse: bool,
    /// Let clients continue an upload on another server of the same storage
    #[arg(long)]
    shared: bool,
    /// How many requests a user, or an address of anonymous callers, may send, such as 1000/m [default: no limit]
    #[arg(long, value_name = "RATE")]
    rate_limit: Option<RateArg>,
    /// How many wrong passwords an address may send, such as 10/m [default: no limit]
    #[arg(long, value_name = "RATE")]
    failed_login_limit: Option<RateArg>,
    /// Send this warning in every response
    #[arg(long, value_name = "TEXT")]
    warning: Option<String>,
    /// Refuse larger manifests [default: 4MiB]
    #[arg(long, value_name = "SIZE")]
    max_manifest_size: Option<SizeArg>,
    /// Refuse larger blobs
    #[arg(long, value_name = "SIZE")]
    max_blob_size: Option<SizeArg>,
    /// How many uploads may be open at a time [default: 10000]
    #[arg(long, value_name = "N")]
    max_uploads: Option<u32>,
    /// How many uploads one user may have open at a time; without users, one client address [default: 256]
    #[arg(long, value_name = "N")]
    max_uploads_per_user: Option<u32>,
    /// Cancel uploads that have not been continued for this time, those of earlier runs too [default: 24h]
    #[arg(long, value_name = "DURATION")]
    upload_expiry: Option<DurationArg>,
    /// Send events of pushes, mounts, deletes and tags to this URL, in the format of distribution's notifications. May be
    /// repeated; a file can have a secret, filters and more for each
    #[arg(long, value_name = "URL")]
    #[serde(deserialize_with = "list")]
    webhook: Vec<WebhookArg>,
    /// Append a record of each change, each refused request and each login to this file, one JSON object a line; - is
    /// standard output. While it cannot be written, nothing can be changed
    #[arg(long, value_name = "FILE")]
    audit_log: Option<PathBuf>,
    /// With --audit-log, also record what is pulled and listed
    #[arg(long)]
    audit_pulls: bool,
    /// With an object store as --root, redirect downloads of blobs to it
    #[arg(long)]
    redirect_blobs: bool,
    /// With --redirect-blobs, the endpoint by which clients reach the store, if it is another one
    #[arg(long, value_name = "URL")]
    redirect_endpoint: Option<String>,
    /// With --redirect-blobs, send smaller blobs from here [default: 64KiB]
    #[arg(long, value_name = "SIZE")]
    redirect_min_size: Option<SizeArg>,
    /// With --redirect-blobs, how long the URL of a redirect is valid [default: 20m]
    #[arg(long, value_name = "DURATION")]
    redirect_expiry: Option<DurationArg>,
    /// Count requests in /metrics also by this pattern of repositories, if it is the first one that matches. May be
    /// repeated
    #[arg(long, value_name = "PATTERN")]
    #[serde(deserialize_with = "list")]
    metrics_repository: Vec<PatternArg>,
    /// Remove from the layouts of --root what nothing leads to, as often as this. With several servers of one root, one of
    /// them does it at a time
    #[arg(long, value_name = "DURATION")]
    gc_every: Option<DurationArg>,
    /// How often tags are deleted as the settings for repositories in FILE say [default: 24h]
    #[arg(long, value_name = "DURATION")]
    retention_every: Option<DurationArg>,
    /// Only log which tags would be deleted
    #[arg(long)]
    retention_dry_run: bool,
    /// How often the sizes of repositories with a quota are counted anew [default: 1h]
    #[arg(long, value_name = "DURATION")]
    quota_recount: Option<DurationArg>,
    /// How many connections may be open at a time; others wait [default: 10000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: Option<u32>,
    /// How long a client may send or read nothing in the middle of a request [default: 60s]
    #[arg(long, value_name = "DURATION")]
    timeout: Option<DurationArg>,
    /// How long requests under way may take when the server stops [default: 30s]
    #[arg(long, value_name = "DURATION")]
    grace: Option<DurationArg>,
    #[arg(skip)]
    #[serde(deserialize_with = "list")]
    oidc: Vec<OidcSettings>,
    #[arg(skip)]
    #[serde(deserialize_with = "list")]
    repositories: Vec<RepositorySettings>,
}

/// The settings of the repositories that a pattern matches. They are only in a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RepositorySettings {
    /// The repositories. The first entry whose pattern matches applies.
    #[serde(rename = "match")]
    pub(crate) names: PatternArg,
    /// Whether nothing is stored and deleted.
    #[serde(default)]
    pub(crate) read_only: bool,
    /// Whether nothing is deleted.
    #[serde(default)]
    pub(crate) no_delete: bool,
    /// The tags that are not moved and not removed.
    #[serde(default, deserialize_with = "list")]
    pub(crate) immutable_tags: Vec<String>,
    /// How many bytes the repositories may store together.
    #[serde(default)]
    pub(crate) quota: Option<SizeArg>,
    /// Which tags are deleted. The first entry that matches a tag decides about it.
    #[serde(default, deserialize_with = "list")]
    pub(crate) retention: Vec<RetentionSettings>,
}

impl RepositorySettings {
    /// Returns why an entry of `retention` is not accepted, if one is not.
    pub(crate) fn retention_flaw(&self) -> Option<&'static str> {
        self.retention.iter().find_map(RetentionSettings::flaw)
    }
}

/// An issuer of OpenID Connect tokens. They are only in a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct OidcSettings {
    /// The URL of the issuer, exactly as in its tokens.
    pub(crate) issuer: String,
    /// The audience that tokens must have.
    pub(crate) audience: String,
    /// What tokens may do.
    #[serde(deserialize_with = "list")]
    pub(crate) rules: Vec<OidcRuleSettings>,
}

/// What the tokens of an issuer may do that have certain claims.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct OidcRuleSettings {
    /// The claims, with patterns of their values.
    pub(crate) claims: BTreeMap<String, String>,
    /// What the tokens may do.
    #[serde(deserialize_with = "list")]
    pub(crate) grant: Vec<RepositoryGrantArg>,
}

impl Settings {
    pub(crate) fn listen(&self) -> &str {
        self.listen.as_deref().unwrap_or("127.0.0.1:5000")
    }

    /// Returns whether only programs of this machine reach the server, at a loopback address.
    pub(crate) fn is_local(&self) -> bool {
        let host = self.listen().rsplit_once(':').map_or("", |(host, _)| host);
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let is_loopback = |ip: IpAddr| ip.is_loopback();
        host.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(is_loopback)
    }

    pub(crate) fn public_url(&self) -> Option<&str> {
        self.public_url.as_ref().map(|url| url.0.as_str())
    }

    /// Returns whether callers are told apart.
    pub(crate) fn has_users(&self) -> bool {
        self.htpasswd.is_some()
            || self.robots.is_some()
            || self.auth_realm.is_some()
            || !self.oidc.is_empty()
            || self.tls_client_ca.is_some()
    }

    /// Returns the entry of `repositories` that applies to the repository `name`: the first one that matches.
    pub(crate) fn entry_of(&self, name: &RepositoryName) -> Option<&RepositorySettings> {
        let mut entries = self.repositories.iter();
        entries.find(|entry| entry.names.0.matches(name))
    }

    /// Returns whether there can be users to whom grants apply. Robots and tokens of others have their own rights.
    pub(crate) fn uses_grants(&self) -> bool {
        self.htpasswd.is_some() || self.tls_client_ca.is_some()
    }

    pub(crate) fn max_manifest_size(&self) -> u64 {
        self.max_manifest_size
            .map_or(MAX_MANIFEST_SIZE, |size| size.0)
    }

    pub(crate) fn max_connections(&self) -> usize {
        self.max_connections.unwrap_or(10_000) as usize
    }

    pub(crate) fn timeout(&self) -> Duration {
        duration(self.timeout, 60)
    }

    pub(crate) fn grace(&self) -> Duration {
        duration(self.grace, 30)
    }

    pub(crate) fn retention_every(&self) -> Duration {
        duration(self.retention_every, 24 * 60 * 60)
    }

    pub(crate) fn quota_recount(&self) -> Duration {
        duration(self.quota_recount, 60 * 60)
    }

    /// Returns whether the size of a repository is limited.
    pub(crate) fn has_quotas(&self) -> bool {
        self.repositories.iter().any(|entry| entry.quota.is_some())
    }

    /// Returns whether tags of a repository are deleted after a time.
    pub(crate) fn has_retention(&self) -> bool {
        let mut entries = self.repositories.iter();
        entries.any(|entry| !entry.retention.is_empty())
    }

    pub(crate) fn mirror_ttl(&self) -> Duration {
        duration(self.mirror_ttl, 5 * 60)
    }
}

fn duration(given: Option<DurationArg>, seconds: u64) -> Duration {
    given.map_or(Duration::from_secs(seconds), |given| given.0)
}
