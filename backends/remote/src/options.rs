//! The options of a registry client.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use crate::certificates::CertificateDirectories;
use crate::credentials::{CredentialProvider, NoCredentials};
use crate::policy::SecurityPolicy;
use crate::rate_limit::RateLimitWait;
use crate::retry_policy::RetryPolicy;
use crate::tls_options::TlsOptions;
use crate::warning::Warning;

/// The handler of [`RemoteOptions::with_warnings`].
pub(crate) type WarningHandler = dyn Fn(&Warning) + Send + Sync;

/// The function of [`RemoteOptions::with_repository_headers`].
pub(crate) type RepositoryHeaders = dyn Fn() -> HeaderMap + Send + Sync;

/// The handler of [`RemoteOptions::with_rate_limit_waits`].
pub(crate) type RateLimitHandler = dyn Fn(&RateLimitWait) + Send + Sync;

/// Options of a registry client.
///
/// ```
/// use std::time::Duration;
/// use tranship_remote::{RemoteOptions, RetryPolicy, Scheme};
///
/// let options = RemoteOptions::default()
///     .with_scheme(Scheme::Http)
///     .with_retry(RetryPolicy::default().with_max_retries(2))
///     .with_silence_timeout(Duration::from_secs(20));
/// assert_eq!(options.retry.max_retries, 2);
/// ```
#[non_exhaustive]
#[derive(Clone)]
pub struct RemoteOptions {
    /// Whether requests use TLS.
    pub scheme: Scheme,
    /// Certificates, and whether the certificate of the registry is verified.
    pub tls: TlsOptions,
    /// Directories with certificates for single registries, which are used in addition to those of [`tls`](Self::tls). They
    /// are read when the registry is opened. None by default.
    pub certificates: CertificateDirectories,
    /// The source of credentials. None by default, so that requests are anonymous.
    pub credentials: Arc<dyn CredentialProvider>,
    /// Where the registry may lead.
    pub policy: SecurityPolicy,
    /// Which failed requests are retried, and when.
    pub retry: RetryPolicy,
    /// How long establishing a connection may take. 30 seconds by default.
    pub connect_timeout: Duration,
    /// For how long requests to another host, to which the registry refers, fail at once after one has not reached it: a host
    /// for blobs that the registry redirects to, or its token server. Zero, the default, tries it each time. This is for
    /// programs that run long and wrap the registry in a [`CircuitBreaker`](tranship::layers::CircuitBreaker), which leaves
    /// the registry itself alone.
    pub other_host_pause: Duration,
    /// How long a request may go without a transferred byte in either direction before it fails. 60 seconds by default. The
    /// duration of a whole transfer is not limited.
    pub silence_timeout: Duration,
    /// How many downloads, and how many other requests, may be in progress at the same time. 64 by default. Clones of a
    /// registry and its repositories share the limit.
    pub max_concurrent_requests: usize,
    /// How many requests may start within a second. `None`, the default, does not limit them.
    pub requests_per_second: Option<u32>,
    /// How many pulls of the [limit](crate::RemoteRegistry::rate_limit) that the registry states are left to others. `None`,
    /// the default, uses up the limit.
    ///
    /// While the registry has said that this many are left, or fewer, a `GET` of a manifest waits. `HEAD` of manifests, and
    /// blobs, do not count at Docker Hub and do not wait. Requests that are sent at the same time are counted before the
    /// registry responds, so that together they do not use the reserve. The client asks the registry again with a `HEAD`
    /// of the same manifest: a minute after the last response, and then at intervals that double up to 15 minutes.
    /// [`with_rate_limit_waits`](Self::with_rate_limit_waits) reports the wait, which may take as long as the window of
    /// the limit, 6 hours at Docker Hub. It ends when its future is dropped, and holds no connection.
    ///
    /// A `GET` that is refused (429) although the reserve was not known to be reached, as others pull at the same time,
    /// waits in the same way, whatever its `Retry-After`.
    ///
    /// It has no effect on a registry that does not state a limit, or for a repository whose responses do not, which Docker
    /// Hub does not count.
    pub rate_limit_reserve: Option<u64>,
    /// How blobs are pushed.
    pub upload: UploadMode,
    /// The size of a chunk of an upload in bytes, where blobs are pushed in chunks. An `OCI-Chunk-Min-Length` of the registry
    /// raises it. 16 MiB by default.
    pub chunk_size: u64,
    /// The directory for records of uploads, with which another process can continue
    /// [resumable](tranship::PushOptions::resumable) pushes. With `None`, the default, no push is resumable. The directory is
    /// created if it does not exist. A record contains the URL of an upload, which may be sufficient to write to the upload,
    /// so only the user can read it. It is removed when the upload is complete, or after a week.
    pub upload_records: Option<PathBuf>,
    /// The size in bytes from which a blob is downloaded in [`parallel_ranges`](Self::parallel_ranges). 64 MiB by default.
    pub parallel_threshold: u64,
    /// The number of ranges of a large blob that are downloaded at the same time. With 1, the default, it is downloaded in one
    /// request. More help where a single connection is slow.
    pub parallel_ranges: usize,
    /// Whether referrers are listed by the registry's API or by tags. Found out by default.
    pub referrers: ReferrersMode,
    /// How many referrers to ask for in one response of the referrers API, by the parameter `n`. `None`, the default,
    /// or zero leaves it to the registry, which may also ignore it: the distribution spec does not define the parameter
    /// for referrers. Tags and repositories have [`ListOptions::page_size`](tranship::ListOptions::page_size).
    pub referrers_page_size: Option<usize>,
    /// Headers of every request to the registry. They are not sent to other hosts.
    pub headers: HeaderMap,
    pub(crate) repository_headers: Option<Arc<RepositoryHeaders>>,
    /// Addresses of host names, in place of those that the names resolve to. The port of the URL is used.
    pub resolve: Vec<(String, SocketAddr)>,
    /// The proxy for all requests, as a URL; `None`, the default, for what the environment says
    /// (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, and `NO_PROXY` in all forms that curl and Go read),
    /// unless the registry is on this machine. It may hold a password.
    pub proxy: Option<String>,
    pub(crate) warnings: Option<Arc<WarningHandler>>,
    pub(crate) rate_limit_waits: Option<Arc<RateLimitHandler>>,
    pub(crate) client: Option<reqwest::Client>,
}

/// Whether TLS is spoken to a registry.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheme {
    /// For this machine (`localhost` and loopback addresses) the one that the registry speaks, which shows
    /// when it is first used; `https` for all others.
    #[default]
    Auto,
    /// `http`.
    Http,
    /// `https`.
    Https,
}

/// How a blob is pushed.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UploadMode {
    /// In one request, and in chunks where that fails.
    #[default]
    Auto,
    /// In one request.
    Monolithic,
    /// In chunks of [`RemoteOptions::chunk_size`], whatever its size.
    Chunked,
}

/// Where a registry's referrers are listed (distribution-spec, "Listing Referrers" and "Referrers Tag Schema").
///
/// The tag scheme replaces the API on registries that do not have it: an index with the tag `sha256-HEX` lists the
/// referrers of the manifest with that digest, and clients maintain it.
///
/// Set one of the two where you know what the registry has, and a first request to find out, or a registry whose
/// responses differ from time to time, is not acceptable.
///
/// ```
/// use tranship_remote::{ReferrersMode, RemoteOptions};
///
/// // As ORAS Go's SetReferrersCapability(false).
/// let options = RemoteOptions::default().with_referrers(ReferrersMode::TagScheme);
/// assert_eq!(options.referrers, ReferrersMode::TagScheme);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ReferrersMode {
    /// The API if the registry has it, as its responses to pushes and lists show; or else the tag scheme.
    #[default]
    Detect,
    /// The API. If the registry does not have it, listing referrers is
    /// [`Unsupported`](tranship::ErrorKind::Unsupported). A push or a delete does not write an index of referrers, even if
    /// the registry does not say that it has noticed the subject.
    Api,
    /// The tag scheme. The API is never asked, and a push or a delete of a manifest that has a subject always updates the
    /// index.
    TagScheme,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            scheme: Scheme::default(),
            tls: TlsOptions::default(),
            certificates: CertificateDirectories::default(),
            credentials: Arc::new(NoCredentials),
            policy: SecurityPolicy::default(),
            retry: RetryPolicy::default(),
            connect_timeout: Duration::from_secs(30),
            other_host_pause: Duration::ZERO,
            silence_timeout: Duration::from_secs(60),
            max_concurrent_requests: 64,
            requests_per_second: None,
            rate_limit_reserve: None,
            upload: UploadMode::default(),
            chunk_size: 16 * 1024 * 1024,
            upload_records: None,
            parallel_threshold: 64 * 1024 * 1024,
            parallel_ranges: 1,
            referrers: ReferrersMode::default(),
            referrers_page_size: None,
            headers: HeaderMap::new(),
            repository_headers: None,
            resolve: Vec::new(),
            proxy: None,
            warnings: None,
            rate_limit_waits: None,
            client: None,
        }
    }
}

macro_rules! setters {
    ($($setter:ident $field:ident: $kind:ty),* $(,)?) => {
        $(
            #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
            #[must_use]
            pub fn $setter(mut self, value: $kind) -> Self {
                self.$field = value;
                self
            }
        )*
    };
}

impl RemoteOptions {
    setters! {
        with_scheme scheme: Scheme,
        with_tls tls: TlsOptions,
        with_certificates certificates: CertificateDirectories,
        with_credentials credentials: Arc<dyn CredentialProvider>,
        with_policy policy: SecurityPolicy,
        with_retry retry: RetryPolicy,
        with_connect_timeout connect_timeout: Duration,
        with_other_host_pause other_host_pause: Duration,
        with_silence_timeout silence_timeout: Duration,
        with_max_concurrent_requests max_concurrent_requests: usize,
        with_requests_per_second requests_per_second: Option<u32>,
        with_rate_limit_reserve rate_limit_reserve: Option<u64>,
        with_upload upload: UploadMode,
        with_chunk_size chunk_size: u64,
        with_upload_records upload_records: Option<PathBuf>,
        with_parallel_threshold parallel_threshold: u64,
        with_parallel_ranges parallel_ranges: usize,
        with_referrers referrers: ReferrersMode,
        with_referrers_page_size referrers_page_size: Option<usize>,
        with_headers headers: HeaderMap,
        with_proxy proxy: Option<String>,
    }

    /// Connects to `address` in place of the addresses of `name`. The port of `address` is not used.
    #[must_use]
    pub fn with_resolve(mut self, name: impl Into<String>, address: SocketAddr) -> Self {
        self.resolve.push((name.into(), address));
        self
    }

    /// Sends every request to the registry, to its token server and to where they redirect with `client`, in place of the
    /// clients that are built from these options. Use it to share connections with the rest of a program, or to bring a
    /// resolver, a proxy or an implementation of TLS of your own.
    ///
    /// The crate re-exports the `reqwest` that it needs, as `tranship_remote::reqwest`.
    ///
    /// These options do not apply then. To set one of them as well is [`InvalidInput`](tranship::ErrorKind::InvalidInput)
    /// when the registry is opened:
    ///
    /// - [`tls`](Self::tls) and [`certificates`](Self::certificates);
    /// - [`resolve`](Self::resolve);
    /// - [`proxy`](Self::proxy), and the proxies of the environment are up to the client;
    /// - [`connect_timeout`](Self::connect_timeout);
    /// - [`SecurityPolicy::max_headers`].
    ///
    /// The header `User-Agent`, and whether blobs use HTTP/2, are up to the client too. All other options apply as without
    /// one: credentials, retries, bounds, and the rest of the security policy.
    ///
    /// Build the client
    ///
    /// - with `redirect::Policy::none()`. Redirects are followed here, where the [policy](Self::policy) is checked and
    ///   credentials are left out. A client cannot be asked what it does, so one that follows redirects shows only when it
    ///   has followed the first: the request then fails with [`InvalidInput`](tranship::ErrorKind::InvalidInput), and its
    ///   response is not used;
    /// - without decompression, since content would then not have its digest;
    /// - without a timeout for whole requests, which would end long transfers. The
    ///   [silence timeout](Self::silence_timeout) applies.
    ///
    /// Where the registry may not lead to [private addresses](SecurityPolicy::private_targets), the name of each other host
    /// is resolved by the system before the client connects to it. This does not see what the client itself resolves: a
    /// name whose address changes in between, or what a resolver or a proxy of the client makes of it.
    ///
    /// ```no_run
    /// use tranship_remote::{RemoteOptions, RemoteRegistry, reqwest};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // This reqwest does not choose where TLS takes its cryptography from.
    /// rustls::crypto::ring::default_provider()
    ///     .install_default()
    ///     .expect("it is installed once");
    /// let client = reqwest::Client::builder()
    ///     .redirect(reqwest::redirect::Policy::none())
    ///     .user_agent("deployer/1.0")
    ///     .build()?;
    /// let options = RemoteOptions::default().with_client(client);
    /// let registry = RemoteRegistry::with_options(&"registry.example".parse()?, options)?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_client(mut self, client: reqwest::Client) -> Self {
        self.client = Some(client);
        self
    }

    /// Adds the headers that `headers` returns to every request about one repository. It is called when a repository is
    /// opened, so that a proxy can pass on headers of the request that it serves.
    ///
    /// ```
    /// use http::header::{HeaderMap, HeaderValue, VIA};
    /// use tranship_remote::RemoteOptions;
    ///
    /// let via = HeaderValue::from_static("1.1 proxy.example");
    /// let options = RemoteOptions::default()
    ///     .with_repository_headers(move || HeaderMap::from_iter([(VIA, via.clone())]));
    /// ```
    #[must_use]
    pub fn with_repository_headers(
        mut self,
        headers: impl Fn() -> HeaderMap + Send + Sync + 'static,
    ) -> Self {
        self.repository_headers = Some(Arc::new(headers));
        self
    }

    /// Calls `handler` with each warning of the registry (distribution-spec, "Warnings"), once for each distinct text
    /// and repository, and not for more than 256 of them. It is called while a request is under way, so it should
    /// return soon.
    ///
    /// ```
    /// use tranship_remote::RemoteOptions;
    ///
    /// let options = RemoteOptions::default().with_warnings(|warning| eprintln!("warning: {warning}"));
    /// ```
    #[must_use]
    pub fn with_warnings(mut self, handler: impl Fn(&Warning) + Send + Sync + 'static) -> Self {
        self.warnings = Some(Arc::new(handler));
        self
    }

    /// Calls `handler` when requests begin to wait because of the [reserve](Self::rate_limit_reserve), and again when the
    /// registry states another number but the wait continues. However many requests wait, it is called once. It is called
    /// while a request is under way, so it should return soon.
    ///
    /// ```
    /// use tranship_remote::RemoteOptions;
    ///
    /// let options = RemoteOptions::default()
    ///     .with_rate_limit_reserve(Some(10))
    ///     // waiting for the rate limit of docker.io: 10 of 100 left
    ///     .with_rate_limit_waits(|wait| eprintln!("{wait}"));
    /// assert_eq!(options.rate_limit_reserve, Some(10));
    /// ```
    #[must_use]
    pub fn with_rate_limit_waits(
        mut self,
        handler: impl Fn(&RateLimitWait) + Send + Sync + 'static,
    ) -> Self {
        self.rate_limit_waits = Some(Arc::new(handler));
        self
    }
}

impl fmt::Debug for RemoteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.keys().collect();
        f.debug_struct("RemoteOptions")
            .field("scheme", &self.scheme)
            .field("tls", &self.tls)
            .field("certificates", &self.certificates)
            .field("credentials", &self.credentials)
            .field("policy", &self.policy)
            .field("retry", &self.retry)
            .field("connect_timeout", &self.connect_timeout)
            .field("other_host_pause", &self.other_host_pause)
            .field("silence_timeout", &self.silence_timeout)
            .field("max_concurrent_requests", &self.max_concurrent_requests)
            .field("requests_per_second", &self.requests_per_second)
            .field("rate_limit_reserve", &self.rate_limit_reserve)
            .field("upload", &self.upload)
            .field("chunk_size", &self.chunk_size)
            .field("upload_records", &self.upload_records)
            .field("parallel_threshold", &self.parallel_threshold)
            .field("parallel_ranges", &self.parallel_ranges)
            .field("referrers", &self.referrers)
            .field("referrers_page_size", &self.referrers_page_size)
            .field("headers", &names)
            .field("resolve", &self.resolve)
            .field("proxy", &self.proxy.is_some())
            .field("client", &self.client.is_some())
            .finish_non_exhaustive()
    }
}
