//! Keeps what was read from another repository.

mod tags;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::tags::Tags;
use crate::*;
use async_trait::async_trait;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use futures_util::{FutureExt as _, StreamExt as _, stream};

/// A repository or registry, the upstream, whose content is kept in another one, the store, when it is read for the
/// first time.
///
/// - Content is verified and stored before it is read, from the store. Several readers that want the same missing
///   content wait for one fetch.
/// - A tag is resolved by the upstream, and then by the store for the [time to live](CacheOptions::tag_ttl).
/// - While the upstream fails with a [retryable](Error::is_retryable) error, such as one that it cannot be reached, is
///   overloaded or asks to slow down, the store is used alone: tags, lists of
///   tags, referrers and repositories may be stale then. The upstream is asked again for a tag after another time to
///   live.
/// - If the store fails, content is read from the upstream.
///
/// Everything else goes to the upstream; wrap it in [`ReadOnly`](super::ReadOnly) for a cache that does not write.
/// What is deleted is also deleted from the store. The store should not be used for anything else.
///
/// Tags that were resolved are remembered in memory, so a new process asks the upstream once for each.
///
/// ```
/// use tranship::layers::{Cache, CacheOptions, ReadOnly};
/// use tranship::prelude::*;
/// # use tranship_memory::MemoryRegistry;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let (upstream, store) = (MemoryRegistry::new(), MemoryRegistry::new());
/// let mirror = Cache::new(ReadOnly::new(upstream), store, CacheOptions::default());
/// let repository = mirror.repository(&"library/alpine".parse()?).await?;
/// assert!(repository.resolve(&"latest".parse()?).await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Cache<U, S> {
    upstream: Arc<U>,
    store: Arc<S>,
    shared: Arc<State>,
}

/// How a [`Cache`] works.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheOptions {
    /// For how long the store resolves a tag that the upstream has resolved; 60 seconds by default.
    pub tag_ttl: Duration,
}

impl CacheOptions {
    /// Sets [`tag_ttl`](Self::tag_ttl). With zero, the upstream is asked each time.
    #[must_use]
    pub fn with_tag_ttl(mut self, ttl: Duration) -> Self {
        self.tag_ttl = ttl;
        self
    }
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            tag_ttl: Duration::from_secs(60),
        }
    }
}

/// What the repositories of a cache share.
struct State {
    tags: Tags,
    /// The content that is being stored.
    fills: Mutex<HashMap<(RepositoryName, ContentKind, Digest), WeakShared<Filling>>>,
}

/// Ends when the content has been stored, or could not be. It is polled by the readers that wait for it, and dropped
/// with the last of them.
type Filling = BoxFuture<'static, ()>;

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<U, S> Cache<U, S> {
    /// Keeps in `store` what is read from `upstream`. Both are backends, or both are registries.
    pub fn new(upstream: U, store: S, options: CacheOptions) -> Self {
        Self {
            upstream: Arc::new(upstream),
            store: Arc::new(store),
            shared: Arc::new(State {
                tags: Tags::new(options.tag_ttl),
                fills: Mutex::default(),
            }),
        }
    }
}

/// Whether the store is used in place of an upstream that fails with `error`.
fn is_down(error: &Error) -> bool {
    error.is_retryable()
}

impl<U: Backend + 'static, S: Backend + 'static> Cache<U, S> {
    fn name(&self) -> &RepositoryName {
        self.upstream.info().name
    }

    async fn is_stored(&self, kind: ContentKind, target: &Descriptor) -> bool {
        // A store that fails is one that does not have it.
        let found = self.store.find(kind, target, Access::Read).await;
        found.is_ok_and(|found| found == Presence::Whole)
    }

    /// Stores content that is missing. Callers that want the same wait for the first.
    async fn fill(&self, kind: ContentKind, target: &Descriptor) {
        let key = (self.name().clone(), kind, *target.digest());
        let filling = {
            let mut fills = lock(&self.shared.fills);
            match fills.get(&key).and_then(WeakShared::upgrade) {
                Some(filling) => filling,
                None => {
                    let filling = self.filling(kind, target);
                    fills.retain(|_, other| other.upgrade().is_some());
                    fills.extend(filling.downgrade().map(|filling| (key, filling)));
                    filling
                }
            }
        };
        filling.await;
    }

    fn filling(&self, kind: ContentKind, target: &Descriptor) -> Shared<Filling> {
        let (upstream, store) = (Arc::clone(&self.upstream), Arc::clone(&self.store));
        let target = target.plain();
        let fill = async move {
            let origin = Origin(&*upstream, kind);
            let source = Source::stored(&origin, &target);
            let options = PushOptions::default();
            // If this fails, each reader asks the upstream, and gets its error.
            let _ = store.write(kind, &target, source, &options).await;
        };
        fill.boxed().shared()
    }

    fn is_fresh(&self, tag: &Tag) -> bool {
        self.shared.tags.is_fresh(self.name(), tag)
    }

    fn moved(&self, tag: &Tag) {
        self.shared.tags.moved(self.name(), tag);
    }

    /// Asks the upstream what `tag` names, and points the tag of the store at that.
    async fn refresh(&self, tag: &Tag) -> Result<Descriptor> {
        let (name, tags) = (self.name(), &self.shared.tags);
        let ticket = tags.begin();
        let (kind, reference) = (ContentKind::Manifest, TagOrDigest::Tag(tag.clone()));
        let found = match self.upstream.stat(kind, &reference).await {
            Ok(found) => found,
            Err(error) if is_down(&error) => {
                let stale = self.store.stat(kind, &reference).await;
                let stale = stale.map_err(|_| error)?;
                // The next readers need not wait until the upstream fails once more.
                tags.extend(name, tag);
                return Ok(stale);
            }
            Err(error) => {
                if error.is_not_found()
                    && let Some(_turn) = tags.set(name, tag, ticket).await
                {
                    // If that fails, the upstream is asked again all the same.
                    let _ = self.store.remove_tag(tag).await;
                    tags.missing(name, tag, ticket);
                }
                return Err(error);
            }
        };
        if !self.is_stored(kind, &found).await {
            self.fill(kind, &found).await;
        }
        let Some(_turn) = tags.set(name, tag, ticket).await else {
            return Ok(found);
        };
        let stored = self.store.stat(kind, &reference).await;
        let is_tagged = stored.is_ok_and(|stored| stored.same_content(&found));
        if is_tagged || self.store.set_tag(&found, tag).await.is_ok() {
            tags.resolved(name, tag, ticket);
        }
        Ok(found)
    }
}

/// The upstream, as the source of a push.
struct Origin<'a>(&'a dyn Backend, ContentKind);

#[async_trait]
impl Fetcher for Origin<'_> {
    async fn fetch(&self, target: &Descriptor) -> Result<Content> {
        self.0.read(self.1, target).await
    }

    async fn fetch_range(&self, target: &Descriptor, range: ByteRange) -> Result<Content> {
        self.0.read_range(self.1, target, range).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<U: Backend + 'static, S: Backend + 'static> Backend for Cache<U, S> {
    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        if !self.is_stored(kind, target).await {
            self.fill(kind, target).await;
        }
        match self.store.read(kind, target).await {
            Ok(content) => Ok(content),
            Err(_) => self.upstream.read(kind, target).await,
        }
    }

    /// A part of content that is missing is read from the upstream, and nothing is stored.
    async fn read_range(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        if self.is_stored(kind, target).await
            && let Ok(part) = self.store.read_range(kind, target, range).await
        {
            return Ok(part);
        }
        self.upstream.read_range(kind, target, range).await
    }

    async fn read_reference(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Content> {
        let target = self.stat(kind, reference).await?;
        self.read(kind, &target).await
    }

    async fn stat(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Descriptor> {
        let is_stored = match reference {
            TagOrDigest::Tag(tag) => self.is_fresh(tag),
            TagOrDigest::Digest(_) => true,
        };
        if is_stored && let Ok(found) = self.store.stat(kind, reference).await {
            return Ok(found);
        }
        match (kind, reference) {
            (ContentKind::Manifest, TagOrDigest::Tag(tag)) => self.refresh(tag).await,
            _ => self.upstream.stat(kind, reference).await,
        }
    }

    async fn find(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        access: Access,
    ) -> Result<Presence> {
        if access == Access::Read && self.is_stored(kind, target).await {
            return Ok(Presence::Whole);
        }
        self.upstream.find(kind, target, access).await
    }

    async fn write(
        &self,
        kind: ContentKind,
        expected: &Descriptor,
        source: Source<'_>,
        options: &PushOptions<'_>,
    ) -> Result<PushOutcome> {
        // Before the call too: it may be dropped when the upstream has moved a tag.
        options.tags.iter().for_each(|tag| self.moved(tag));
        let written = self.upstream.write(kind, expected, source, options).await;
        options.tags.iter().for_each(|tag| self.moved(tag));
        written
    }

    async fn set_tag(&self, target: &Descriptor, tag: &Tag) -> Result<()> {
        self.moved(tag);
        let set = self.upstream.set_tag(target, tag).await;
        self.moved(tag);
        set
    }

    async fn remove_tag(&self, tag: &Tag) -> Result<()> {
        self.moved(tag);
        let removed = self.upstream.remove_tag(tag).await;
        self.moved(tag);
        if removed.is_ok() {
            // While the upstream is down, it must not be resolved by the store.
            let _ = self.store.remove_tag(tag).await;
        }
        removed
    }

    async fn remove(&self, kind: ContentKind, target: &Descriptor) -> Result<()> {
        self.upstream.remove(kind, target).await?;
        match self.store.remove(kind, target).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    fn list_tags(&self, options: ListOptions) -> Listing<'_, Tag> {
        let listing = self.upstream.list_tags(options.clone());
        or_stored(listing, move || self.store.list_tags(options))
    }

    fn list_referrers<'a>(
        &'a self,
        subject: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Listing<'a, Descriptor> {
        let (subject, artifact_type) = (subject.clone(), artifact_type.cloned());
        let listing = self
            .upstream
            .list_referrers(&subject, artifact_type.as_ref());
        or_stored(listing, move || {
            self.store.list_referrers(&subject, artifact_type.as_ref())
        })
    }

    async fn list_predecessors(&self, node: &Descriptor) -> Result<Vec<Descriptor>> {
        match self.upstream.list_predecessors(node).await {
            Err(error) if is_down(&error) => self.store.list_predecessors(node).await,
            found => found,
        }
    }

    /// There are no batches: their tags would move unnoticed.
    fn begin_batch(&self) -> Option<Box<dyn Batch + '_>> {
        None
    }

    forward_backend!(self, self.upstream; info mount_blob start_upload resume_upload prepare_for_pushes);
}

/// Returns `listing`, or if its upstream is down, what the store lists instead.
fn or_stored<'a, T: Send + 'a>(
    listing: Listing<'a, T>,
    stored: impl FnOnce() -> Listing<'a, T> + Send + 'a,
) -> Listing<'a, T> {
    let listing = async move {
        let mut listing = listing.peekable();
        match std::pin::Pin::new(&mut listing).peek().await {
            Some(Err(error)) if is_down(error) => stored(),
            _ => listing.boxed(),
        }
    };
    stream::once(listing).flatten().boxed()
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<U: Registry, S: Registry> Registry for Cache<U, S> {
    fn identity(&self) -> &RegistryIdentity {
        self.upstream.identity()
    }

    fn capabilities(&self) -> Capabilities {
        self.upstream.capabilities()
    }

    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>> {
        Ok(Arc::new(Cache {
            upstream: Arc::new(self.upstream.repository(name).await?),
            store: Arc::new(self.store.repository(name).await?),
            shared: Arc::clone(&self.shared),
        }))
    }

    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        let listing = self.upstream.repositories(options.clone());
        or_stored(listing, move || self.store.repositories(options))
    }

    async fn expire_uploads(&self, idle: Duration) -> Result<u64> {
        let expired = self.upstream.expire_uploads(idle).await?;
        Ok(expired + self.store.expire_uploads(idle).await?)
    }
}
