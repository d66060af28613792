//! The options of a server.

use std::sync::Arc;
use std::time::Duration;

use tranship::MAX_MANIFEST_SIZE;
use tranship::layers::RepositoryQuotas;

use crate::access::{Access, NamePattern};
use crate::audit::AuditOptions;
use crate::events::EventSink;
use crate::local_hosts::LocalHosts;
use crate::mirrors::Mirrors;
use crate::rate_limit::Rate;

/// Options of [`router`](crate::router).
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The users, and what they may do. By default every caller may do everything.
    pub access: Option<Access>,
    /// The mirrors, if the registry that is served has some: for requests with the parameter `ns`, and for the warning that
    /// a tag is stale. None by default.
    pub mirrors: Option<Arc<Mirrors>>,
    /// The hosts by which requests may reach the server. Others are refused with status 421, except for probes. None by
    /// default, for all.
    pub local_hosts: Option<LocalHosts>,
    /// Where events of pushes, pulls and deletes go. None by default.
    pub events: Option<Arc<dyn EventSink>>,
    /// The quotas of the registry that is served, for `/metrics`. None by default.
    pub quotas: Option<RepositoryQuotas>,
    /// Which requests are recorded in an audit log, and where. None by default.
    pub audit: Option<AuditOptions>,
    /// Whether GETs of blobs are redirected to the storage, if the backend has URLs by which clients can read them
    /// ([`Backend::direct_url`](tranship::Backend::direct_url)). None by default, so that they are not.
    pub redirects: Option<RedirectOptions>,
    /// The patterns by which `/metrics` counts the requests of repositories: a request has the label of the first
    /// pattern that matches its repository, or `other`. None by default, so that they are not counted by repository.
    pub metrics_patterns: Vec<NamePattern>,
    /// How long the storage may take to respond before `/readyz` reports that it does not. 5 seconds by default.
    pub readiness_timeout: Duration,
    /// How many requests a user, or an address of anonymous callers, may send. No limit by default.
    pub request_rate: Option<Rate>,
    /// The warning in every response, for example that the registry will be shut down. None by default.
    pub warning: Option<String>,
    /// Whether manifests are refused that refer to blobs or manifests which the repository does not have. True by
    /// default, as in distribution. A subject may always be absent. Sparse indexes, which list platforms that were not
    /// copied, are only accepted if this is false.
    pub complete_manifests: bool,
    /// Whether other servers serve the same storage, so that a client may send its next chunk to another one. Uploads
    /// are then left to the backend between requests, which has to hash the stored bytes again. False by default.
    pub shared: bool,
    /// The largest manifest that is accepted, in bytes. [`MAX_MANIFEST_SIZE`] by default.
    pub max_manifest_size: u64,
    /// The largest blob that is accepted, in bytes. No limit by default.
    pub max_blob_size: Option<u64>,
    /// The smallest chunk that clients are asked to send, in bytes (`OCI-Chunk-Min-Length`). This is a hint: smaller
    /// chunks are accepted too. None by default.
    pub min_chunk_size: Option<u64>,
    /// The most items on a page of tags or repositories. 1000 by default.
    pub max_page_size: usize,
    /// In how many repositories, the first ones of the catalog, a blob is searched for if a mount does not name a
    /// source. 100 by default. With 0 such mounts become uploads.
    pub anonymous_mount_search: usize,
    /// How many uploads may be open at a time. 10,000 by default.
    pub max_uploads: usize,
    /// How many uploads may be open at a time for one user, or for one address of anonymous callers. 256 by default.
    pub max_uploads_per_user: usize,
    /// How long an upload may be idle before it is cancelled. One day by default.
    pub upload_expiry: Duration,
    /// How long a client may send nothing in the middle of a body. One minute by default.
    pub body_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            access: None,
            mirrors: None,
            local_hosts: None,
            events: None,
            quotas: None,
            audit: None,
            redirects: None,
            metrics_patterns: Vec::new(),
            readiness_timeout: Duration::from_secs(5),
            request_rate: None,
            warning: None,
            complete_manifests: true,
            shared: false,
            max_manifest_size: MAX_MANIFEST_SIZE,
            max_blob_size: None,
            min_chunk_size: None,
            max_page_size: 1000,
            anonymous_mount_search: 100,
            max_uploads: 10_000,
            max_uploads_per_user: 256,
            upload_expiry: Duration::from_secs(24 * 60 * 60),
            body_timeout: Duration::from_secs(60),
        }
    }
}

impl ServerOptions {
    /// Sets the users, and what they may do. Passwords are sent in clear text, so use TLS.
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = Some(access);
        self
    }

    /// Sets the [mirrors](Self::mirrors), which should also be the registry that is served.
    #[must_use]
    pub fn with_mirrors(mut self, mirrors: Arc<Mirrors>) -> Self {
        self.mirrors = Some(mirrors);
        self
    }

    /// Passes the events of requests that succeed to `sink`.
    #[must_use]
    pub fn with_events(mut self, sink: Arc<dyn EventSink>) -> Self {
        self.events = Some(sink);
        self
    }

    /// Shows the usage of `quotas`, which the layers of the registry that is served count, in `/metrics`.
    #[must_use]
    pub fn with_quotas(mut self, quotas: RepositoryQuotas) -> Self {
        self.quotas = Some(quotas);
        self
    }

    /// Records requests as `options` say.
    #[must_use]
    pub fn with_audit(mut self, options: AuditOptions) -> Self {
        self.audit = Some(options);
        self
    }

    /// Redirects GETs of blobs to the storage.
    #[must_use]
    pub fn with_redirects(mut self, options: RedirectOptions) -> Self {
        self.redirects = Some(options);
        self
    }

    /// Counts requests also by the first of `patterns` that matches the repository.
    #[must_use]
    pub fn with_metrics_patterns(mut self, patterns: Vec<NamePattern>) -> Self {
        self.metrics_patterns = patterns;
        self
    }

    /// Waits for `time` for the storage when `/readyz` is requested.
    #[must_use]
    pub fn with_readiness_timeout(mut self, time: Duration) -> Self {
        self.readiness_timeout = time;
        self
    }

    /// Limits how many requests a user, or an address of anonymous callers, may send. Further ones are refused with 429
    /// and the time to wait.
    #[must_use]
    pub fn with_request_rate(mut self, rate: Rate) -> Self {
        self.request_rate = Some(rate);
        self
    }

    /// Sends the warning `text` in every response. Only printable ASCII is sent.
    #[must_use]
    pub fn with_warning(mut self, text: impl Into<String>) -> Self {
        self.warning = Some(text.into());
        self
    }

    /// If `complete`, refuses manifests that refer to blobs or manifests which the repository does not have.
    #[must_use]
    pub fn with_complete_manifests(mut self, complete: bool) -> Self {
        self.complete_manifests = complete;
        self
    }

    /// If `shared`, leaves uploads to the backend between requests.
    #[must_use]
    pub fn with_shared(mut self, shared: bool) -> Self {
        self.shared = shared;
        self
    }

    /// Accepts manifests of up to `size` bytes.
    #[must_use]
    pub fn with_max_manifest_size(mut self, size: u64) -> Self {
        self.max_manifest_size = size;
        self
    }

    /// Accepts blobs of up to `size` bytes.
    #[must_use]
    pub fn with_max_blob_size(mut self, size: u64) -> Self {
        self.max_blob_size = Some(size);
        self
    }

    /// Asks clients for chunks of at least `size` bytes.
    #[must_use]
    pub fn with_min_chunk_size(mut self, size: u64) -> Self {
        self.min_chunk_size = Some(size);
        self
    }

    /// Lists up to `size` tags or repositories on a page.
    #[must_use]
    pub fn with_max_page_size(mut self, size: usize) -> Self {
        self.max_page_size = size.max(1);
        self
    }

    /// Refuses requests by other hosts than `hosts`: for a server on a loopback address without users.
    #[must_use]
    pub fn with_local_hosts(mut self, hosts: LocalHosts) -> Self {
        self.local_hosts = Some(hosts);
        self
    }

    /// Searches for a blob to mount in up to `count` repositories.
    #[must_use]
    pub fn with_anonymous_mount_search(mut self, count: usize) -> Self {
        self.anonymous_mount_search = count;
        self
    }

    /// Lets up to `count` uploads be open at a time.
    #[must_use]
    pub fn with_max_uploads(mut self, count: usize) -> Self {
        self.max_uploads = count;
        self
    }

    /// Lets up to `count` uploads be open at a time for each user.
    #[must_use]
    pub fn with_max_uploads_per_user(mut self, count: usize) -> Self {
        self.max_uploads_per_user = count;
        self
    }

    /// Lets uploads be idle for `time`.
    #[must_use]
    pub fn with_upload_expiry(mut self, time: Duration) -> Self {
        self.upload_expiry = time;
        self
    }

    /// Waits for `time` for the next bytes of a request's body.
    #[must_use]
    pub fn with_body_timeout(mut self, time: Duration) -> Self {
        self.body_timeout = time;
        self
    }
}

/// How GETs of blobs are redirected to the storage.
///
/// A client that has the URL of a redirect can read the blob until the URL expires, also if its rights are taken away
/// before.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectOptions {
    /// Smaller blobs, in bytes, are sent by the server: a redirect costs a client a connection to another host. 64 KiB
    /// by default.
    pub min_size: u64,
    /// How long a URL is valid. Object stores check it when a download begins. 20 minutes by default.
    pub valid_for: Duration,
}

impl Default for RedirectOptions {
    fn default() -> Self {
        Self {
            min_size: 64 * 1024,
            valid_for: Duration::from_secs(20 * 60),
        }
    }
}

impl RedirectOptions {
    /// Sends blobs of fewer than `bytes` from the server.
    #[must_use]
    pub fn with_min_size(mut self, bytes: u64) -> Self {
        self.min_size = bytes;
        self
    }

    /// Makes URLs valid for `time`.
    #[must_use]
    pub fn with_valid_for(mut self, time: Duration) -> Self {
        self.valid_for = time;
        self
    }
}
