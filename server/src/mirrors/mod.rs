//! Other registries, whose content is served and stored.

mod discover;
mod failure;
mod state;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use http::HeaderMap;
use tranship::layers::{
    Cache, CacheCounts, CacheOptions, CacheStats, CachedContent, CallStats, Circuit,
    CircuitBreaker, CircuitBreakerOptions, MapErrors, Monitor, ReadOnly, Unify,
};
use tranship::{
    Capabilities, Digest, Error, ErrorKind, ListOptions, Listing, MediaType, Registry,
    RegistryIdentity, Repository, RepositoryName, Result, Tag,
};

use self::discover::stored_names;
pub(crate) use self::failure::{LOOP_DETECTED, UpstreamError};
pub use self::state::{MirrorState, StoredRepositories};
use crate::via::ServerName;

/// The host of Docker Hub. The name of an official image has one component there, short for `library/NAME`.
const DOCKER_HUB: &str = "docker.io";

/// A local registry together with mirrors of others.
///
/// The repository `NAME` of a mirror is served as `PREFIX/NAME`. Content that is read from it is stored in the
/// repository `PREFIX/NAME` of the local registry, and served from there afterwards, as [`Cache`] describes. Mirrors are read-only:
/// the credentials for the other registries cannot be used to store anything there.
///
/// ```
/// use std::sync::Arc;
/// use tranship::layers::CacheOptions;
/// use tranship_memory::MemoryRegistry;
/// use tranship_server::{Mirror, Mirrors, ServerOptions, router};
///
/// # fn main() -> tranship::Result<()> {
/// // In a program, a `RemoteRegistry`.
/// let hub = Arc::new(MemoryRegistry::new());
/// let mirror = Mirror::new("docker.io", hub)?;
/// let local = Arc::new(MemoryRegistry::new());
/// let mirrors = Arc::new(Mirrors::new(local, vec![mirror], CacheOptions::default())?);
/// let options = ServerOptions::default().with_mirrors(Arc::clone(&mirrors));
/// let service = router(mirrors, options);
/// # let _ = service;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Mirrors {
    local: Arc<dyn Registry>,
    mirrors: Vec<Mirror>,
    cache: Cache<ReadOnly<Unify>, Arc<dyn Registry>>,
    /// Whether each mirrored registry is left alone, in the order of `mirrors`.
    circuits: Vec<Circuit>,
    /// The mirror of repositories that do not have the prefix of a mirror, and that the local registry does not have.
    fallback: Option<RepositoryName>,
    server: Option<ServerName>,
}

/// A registry that is mirrored.
#[derive(Debug, Clone)]
pub struct Mirror {
    host: String,
    prefix: RepositoryName,
    upstream: Arc<dyn Registry>,
    /// The calls of the upstream.
    calls: Arc<CallStats>,
    /// The reads of content of the mirror.
    counts: Arc<CacheCounts>,
    /// For how long the registry is left alone after it could not be reached.
    pause: Duration,
}

impl Mirror {
    /// Returns a mirror of `upstream`, which clients know by the name `host`, for example `docker.io` or `localhost:5001`.
    ///
    /// # Errors
    /// [`InvalidReference`](ErrorKind::InvalidReference) if the names of repositories cannot begin with the host, such as
    /// `[::1]`.
    pub fn new(host: impl Into<String>, upstream: Arc<dyn Registry>) -> Result<Self> {
        let host = host.into().to_ascii_lowercase();
        // A repository name cannot contain a colon.
        let prefix = host.replace(':', "_").parse()?;
        let calls = Arc::default();
        Ok(Self {
            host,
            prefix,
            upstream: Arc::new(Monitor::new(upstream, Arc::clone(&calls))),
            calls,
            counts: Arc::default(),
            pause: CircuitBreakerOptions::default().pause,
        })
    }

    /// Sends no requests to the registry for `time` after it could not be reached, and then one at a time until it
    /// responds; 30 seconds by default. Clients get stored content at once then.
    #[must_use]
    pub fn with_pause(mut self, time: Duration) -> Self {
        self.pause = time;
        self
    }

    /// Returns the registry with a circuit breaker, and the state of that.
    fn guarded(&self) -> (Arc<dyn Registry>, Circuit) {
        let host = self.host.clone();
        let options = CircuitBreakerOptions::default()
            .with_pause(self.pause)
            .with_on_change(move |error| match error {
                Some(error) => {
                    tracing::warn!(registry = host, %error, "a mirrored registry cannot be reached; stored content is served");
                }
                None => tracing::info!(registry = host, "a mirrored registry responds again"),
            });
        let guarded = CircuitBreaker::new(Arc::clone(&self.upstream), options);
        let circuit = guarded.circuit().clone();
        (Arc::new(guarded), circuit)
    }

    /// Returns the name at the upstream of a repository that is named `name` here, if it is one of this mirror.
    fn image<'n>(&self, name: &'n RepositoryName) -> Option<&'n str> {
        let rest = name.as_str().strip_prefix(self.prefix.as_str())?;
        rest.strip_prefix('/')
    }

    /// Returns the name under which the repository `name` is stored, if it is one of this mirror.
    fn stored_as(&self, name: &RepositoryName) -> Result<Option<RepositoryName>> {
        match self.image(name) {
            None => Ok(None),
            Some(image) if self.host == DOCKER_HUB && !image.contains('/') => {
                format!("{}/library/{image}", self.prefix).parse().map(Some)
            }
            Some(_) => Ok(Some(name.clone())),
        }
    }
}

impl Mirrors {
    /// Serves `local` and `mirrors`, whose content is stored in `local`.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if two mirrors have the same host.
    pub fn new(
        local: Arc<dyn Registry>,
        mirrors: Vec<Mirror>,
        options: CacheOptions,
    ) -> Result<Self> {
        let (upstreams, circuits): (Vec<_>, _) = mirrors.iter().map(Mirror::guarded).unzip();
        let names = mirrors.iter().map(|mirror| mirror.prefix.clone());
        let upstream = ReadOnly::new(Unify::new(names.zip(upstreams))?);
        let options = options.with_on_stale(|repository, tag, error| {
            tracing::warn!(%repository, %tag, %error, "a tag is resolved from stored content, as its registry is down");
        });
        Ok(Self {
            cache: Cache::new(upstream, Arc::clone(&local), options),
            circuits,
            local,
            mirrors,
            fallback: None,
            server: None,
        })
    }

    /// Makes a server read repositories that have neither the prefix of a mirror nor a tag in the local registry from the
    /// mirror with this host, for callers that may read its repository. Docker's daemon asks so with its setting
    /// `registry-mirrors`.
    ///
    /// This applies to GET, and to HEAD of a tag. Other requests are those of a client that pushes, and see the local
    /// repository only.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if no mirror has this host.
    pub fn with_fallback(mut self, host: &str) -> Result<Self> {
        let mut mirrors = self.mirrors.iter();
        let mirror = mirrors.find(|mirror| mirror.host == host.to_ascii_lowercase());
        let Some(mirror) = mirror else {
            let error = Error::new(ErrorKind::InvalidInput, "no mirror has this name");
            return Err(error.with_subject(host));
        };
        self.fallback = Some(mirror.prefix.clone());
        Ok(self)
    }

    /// Makes a server refuse requests for repositories of mirrors that have come from itself: those whose header `Via` has
    /// `name`.
    #[must_use]
    pub fn with_server_name(mut self, name: ServerName) -> Self {
        self.server = Some(name);
        self
    }

    /// Returns whether a request with these headers for the repository `name` has come from this server.
    pub(crate) fn is_loop(&self, name: &RepositoryName, headers: &HeaderMap) -> bool {
        let is_mirrored = || self.mirrored(name).is_ok_and(|mirrored| mirrored.is_some());
        let server = self.server.as_ref();
        server.is_some_and(|server| server.is_in(headers)) && is_mirrored()
    }

    /// Returns the name here of the repository `name` of the registry `namespace`, the value of the parameter `ns` that
    /// containerd sends; `None` if that registry is not mirrored. A name that begins with the prefix of the mirror is
    /// not changed, since containerd sends `ns` also if its configuration has the prefix in the path.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str, name: &RepositoryName) -> Option<RepositoryName> {
        let namespace = namespace.to_ascii_lowercase();
        let mirror = self
            .mirrors
            .iter()
            .find(|mirror| mirror.host == namespace)?;
        if mirror.image(name).is_some() {
            return Some(self.stored_as(name));
        }
        let name = format!("{}/{name}", mirror.prefix).parse().ok()?;
        Some(self.stored_as(&name))
    }

    /// Returns the name under which the repository `name` is stored. An official image of Docker Hub has a short name too.
    pub(crate) fn stored_as(&self, name: &RepositoryName) -> RepositoryName {
        let mirrored = self.mirrored(name).ok().flatten();
        mirrored.map_or_else(|| name.clone(), |(_, stored)| stored)
    }

    /// Returns the local registry, in which a repository of a mirror has only its stored content.
    pub(crate) fn local(&self) -> &dyn Registry {
        &*self.local
    }

    /// Returns whether `tag` of the repository `name` was resolved, or not found, without its registry, which did not
    /// respond.
    #[must_use]
    pub fn is_stale(&self, name: &RepositoryName, tag: &Tag) -> bool {
        let mirrored = self.mirrored(name).ok().flatten();
        mirrored.is_some_and(|(_, name)| self.cache.is_stale(&name, tag))
    }

    /// Returns whether the tags of the repository `name` were last listed without its registry, which did not respond.
    #[must_use]
    pub fn has_stale_tags(&self, name: &RepositoryName) -> bool {
        let mirrored = self.mirrored(name).ok().flatten();
        mirrored.is_some_and(|(_, name)| self.cache.has_stale_tags(&name))
    }

    /// Returns whether the referrers of `subject` with this type, or all of them, were last listed without the registry of
    /// the repository `name`, which did not respond.
    #[must_use]
    pub fn has_stale_referrers(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> bool {
        let mirrored = self.mirrored(name).ok().flatten();
        mirrored.is_some_and(|(_, name)| {
            self.cache
                .has_stale_referrers(&name, subject, artifact_type)
        })
    }

    /// Returns how the store of the mirrors was used.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.cache.stats()
    }

    /// Returns the mirrors, and how each was used.
    #[must_use]
    pub fn states(&self) -> Vec<MirrorState> {
        let states = self.mirrors.iter().map(|mirror| MirrorState {
            host: mirror.host.clone(),
            upstream: mirror.upstream.identity().to_string(),
            hits: mirror.counts.hits(),
            misses: mirror.counts.misses(),
            calls: mirror.calls.calls(),
            prefix: mirror.prefix.clone(),
        });
        states.collect()
    }

    /// Counts the stored repositories of a mirror, up to `limit`.
    ///
    /// # Errors
    /// The error of the local registry.
    pub async fn count_stored(
        &self,
        mirror: &MirrorState,
        limit: usize,
    ) -> Result<StoredRepositories> {
        let mut stored = StoredRepositories::default();
        let mut names = pin!(stored_names(&*self.local, &mirror.prefix));
        while let Some(name) = names.try_next().await? {
            if stored.all == limit {
                stored.cut = true;
                break;
            }
            stored.all += 1;
            stored.pinned += usize::from(self.cache.is_pinned(&name));
        }
        Ok(stored)
    }

    /// Returns how many bytes the mirrors may store, if that is limited.
    #[must_use]
    pub fn max_size(&self) -> Option<u64> {
        self.cache.max_size()
    }

    /// Returns the host of each mirrored registry, and whether it is left alone since it could not be reached.
    pub(crate) fn circuits(&self) -> impl Iterator<Item = (&str, bool)> {
        let hosts = self.mirrors.iter().map(|mirror| mirror.host.as_str());
        hosts.zip(self.circuits.iter().map(Circuit::is_open))
    }

    /// Returns whether content is deleted to make room.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.cache.is_bounded()
    }

    /// Returns the content that may be deleted to make room, as [`Cache::stored`] does.
    #[must_use]
    pub fn stored(&self) -> Vec<CachedContent> {
        self.cache.stored()
    }

    /// Counts content that an earlier process has stored, as [`Cache::add_stored`] does.
    pub fn add_stored(&self, content: CachedContent) {
        self.cache.add_stored(content);
    }

    /// Finishes fetches whose clients have left, and makes room, as [`Cache::run`] does. It first searches the local
    /// registry for content of the mirrors that is not known, since an earlier process has ended without notice.
    ///
    /// This never ends. Dropping the future only stops the work.
    pub async fn run(&self) {
        let discovered = discover::discover(&*self.local, &self.mirrors, |content| {
            self.cache.add_stored(content);
        });
        let discovery = async {
            if self.is_bounded()
                && let Err(error) = discovered.await
            {
                tracing::warn!(%error, "the content of mirrors cannot be searched");
            }
        };
        futures_util::future::join(discovery, self.cache.run()).await;
    }

    /// Returns the mirror of the repository, and the name under which it is stored, if it is one of a mirror.
    fn mirrored(&self, name: &RepositoryName) -> Result<Option<(&Mirror, RepositoryName)>> {
        for mirror in &self.mirrors {
            if let Some(stored) = mirror.stored_as(name)? {
                return Ok(Some((mirror, stored)));
            }
        }
        Ok(None)
    }

    /// Returns the repository of a mirror that a client may read by the name `name`, if that is not its own name.
    pub(crate) fn read_as(&self, name: &RepositoryName) -> Option<RepositoryName> {
        let stored = self.stored_as(name);
        match stored == *name {
            true => self.fallback_name(name),
            false => Some(stored),
        }
    }

    /// Returns the repository that is read in place of `name` if the local registry does not have that.
    pub(crate) fn fallback_name(&self, name: &RepositoryName) -> Option<RepositoryName> {
        let prefix = self.fallback.as_ref()?;
        if self.mirrored(name).ok()?.is_some() {
            return None;
        }
        // A name that is too long is not one of the mirror.
        let mirrored = format!("{prefix}/{name}").parse().ok()?;
        Some(self.stored_as(&mirrored))
    }

    /// Returns whether the local registry has a tag in the repository `name`.
    ///
    /// # Errors
    /// The error of the local registry.
    pub(crate) async fn has_local(&self, name: &RepositoryName) -> Result<bool> {
        let local = self.local.repository(name).await?;
        let options = ListOptions::default().with_page_size(1);
        Ok(local.tags(options).try_next().await?.is_some())
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Registry for Mirrors {
    fn identity(&self) -> &RegistryIdentity {
        self.local.identity()
    }

    fn capabilities(&self) -> Capabilities {
        self.local.capabilities()
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>> {
        let Some((mirror, name)) = self.mirrored(name)? else {
            return self.local.repository(name).await;
        };
        let cache = self.cache.counting(&mirror.counts);
        let repository = cache.repository(&name).await?;
        let host = mirror.host.clone();
        let image = mirror.image(&name).unwrap_or_default().to_owned();
        Ok(Arc::new(MapErrors::new(repository, move |_, error| {
            failure::explain(&host, &image, &name, error)
        })))
    }

    /// Lists the stored repositories, also those of mirrors. Most registries do not list their repositories.
    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        self.local.repositories(options)
    }

    async fn expire_uploads(&self, idle: Duration) -> Result<u64> {
        self.local.expire_uploads(idle).await
    }
}
