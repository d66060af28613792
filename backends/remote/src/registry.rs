//! A registry that is reached over HTTP.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::{Method, StatusCode};
use serde::Deserialize;
use tranship::{
    Capabilities, ErrorKind, ListOptions, Listing, Registry, RegistryIdentity, RegistryName,
    Repository, RepositoryName, Result, ResultExt as _,
};

use crate::auth::{Scope, Scopes};
use crate::capabilities::LearnedCapabilities;
use crate::options::RemoteOptions;
use crate::pages::Names;
use crate::rate_limit::RateLimitStatus;
use crate::referrer_changes::ReferrerQueues;
use crate::repository::RemoteRepository;
use crate::repository_client::{RepositoryClient, Shared};
use crate::transport::{Request, RequestCounts, RequestKind, Transport, failure};

/// A registry that is reached over HTTP (distribution-spec). Clones share connections, tokens, bounds
/// and what has been learned about the registry.
///
/// ```no_run
/// use tranship::{Registry, Repository, Result, TagLister};
/// use tranship_remote::RemoteRegistry;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let registry = RemoteRegistry::new(&"registry.example.com".parse()?)?;
/// let repository = registry.repository(&"team/app".parse()?).await?;
/// for tag in tranship::tags(&*repository).await? {
///     let target = repository.resolve(&tag.clone().into()).await?;
///     println!("{tag}: {}", target.digest());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RemoteRegistry(Arc<Shared>);

impl RemoteRegistry {
    /// Returns the registry `name` with the default options: anonymous, and over TLS. A registry on this machine is reached
    /// with or without TLS, as it supports. Sends no request.
    ///
    /// # Errors
    /// As [`with_options`](Self::with_options).
    pub fn new(name: &RegistryName) -> Result<Self> {
        Self::with_options(name, RemoteOptions::default())
    }

    /// Returns the registry `name` with the given options. Sends no request. Reads the files in
    /// [`RemoteOptions::certificates`], which blocks the thread.
    ///
    /// # Errors
    /// - [`InvalidReference`](ErrorKind::InvalidReference) if the name cannot be that of a registry.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if a certificate, key or proxy in the options is invalid.
    /// - Those of the file system, for the files of certificates.
    pub fn with_options(name: &RegistryName, options: RemoteOptions) -> Result<Self> {
        let transport = Transport::new(name, options).during("connect to", name)?;
        let identity = transport
            .locations()
            .origin()
            .origin()
            .ascii_serialization();
        Ok(Self(Arc::new(Shared {
            identity: RegistryIdentity::new(identity),
            learned: LearnedCapabilities::new(transport.options()),
            transport,
            referrer_queues: ReferrerQueues::default(),
        })))
    }

    /// Returns the repository `name`, which need not exist. Sends no request.
    #[must_use]
    pub fn open(&self, name: &RepositoryName) -> RemoteRepository {
        RemoteRepository::new(RepositoryClient::new(Arc::clone(&self.0), name.clone()))
    }

    /// Checks that there is a registry, and that it accepts the credentials (distribution-spec, "Determining Support").
    /// Cancel safe.
    ///
    /// # Errors
    /// - [`Unauthorized`](ErrorKind::Unauthorized) and [`Denied`](ErrorKind::Denied) if the registry refuses the credentials.
    /// - [`NotFound`](ErrorKind::NotFound) if the server is not a registry.
    /// - Those of the network.
    pub async fn ping(&self) -> Result<()> {
        let transport = &self.0.transport;
        let url = transport.locations().origin().join("v2/");
        let url = url.map_err(|_| failure::protocol("the registry has no URL"))?;
        let request = Request::new(RequestKind::Ping, Method::GET, url, Scopes::default());
        let response = transport
            .send(request)
            .await
            .during("reach", &self.0.identity)?;
        match response.status() {
            StatusCode::OK => Ok(()),
            _ => Err(response
                .into_error()
                .await
                .with_operation("reach")
                .with_subject(&self.0.identity)),
        }
    }

    /// Returns the numbers of requests that have been sent through this registry, its clones and its repositories.
    #[must_use]
    pub fn request_counts(&self) -> RequestCounts {
        self.0.transport.counts()
    }

    /// Returns how many manifests the registry still lets this client fetch, as the newest response to a `GET` or `HEAD` of
    /// a manifest said, or `None` if none did. Docker Hub does, with the headers `ratelimit-limit` and
    /// `ratelimit-remaining`. Clones and repositories share it. Sends no request.
    ///
    /// [`RemoteOptions::rate_limit_reserve`](crate::RemoteOptions::rate_limit_reserve) makes the client stay below the
    /// limit.
    #[must_use]
    pub fn rate_limit(&self) -> Option<RateLimitStatus> {
        self.0.transport.rate_limit()
    }
}

impl fmt::Debug for RemoteRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteRegistry")
            .field("identity", &self.0.identity)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Registry for RemoteRegistry {
    fn identity(&self) -> &RegistryIdentity {
        &self.0.identity
    }

    fn capabilities(&self) -> Capabilities {
        self.0.learned.capabilities()
    }

    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        #[derive(Deserialize)]
        struct Catalog {
            repositories: Option<Vec<String>>,
        }
        let transport = &self.0.transport;
        let url = match transport.locations().origin().join("v2/_catalog") {
            Ok(url) => url,
            Err(_) => {
                let error = failure::protocol("the registry has no URL");
                return Box::pin(futures_util::stream::iter([Err(error)]));
            }
        };
        let scopes = Scope::catalog().into();
        Names::new(transport, RequestKind::Catalog, scopes, url, options).list(
            |page| {
                self.0.learned.catalog.learn(true);
                Ok(page.decode::<Catalog>()?.repositories.unwrap_or_default())
            },
            |error| {
                let has_none = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported);
                if !has_none {
                    return Err(error).during("list the repositories of", &self.0.identity);
                }
                self.0.learned.catalog.learn(false);
                Err(
                    tranship::Error::unsupported("the registry does not list its repositories")
                        .with_source(error),
                )
            },
        )
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>> {
        Ok(Arc::new(self.open(name)))
    }
}
