//! Keeps what was read from another repository.

mod backend;
mod fallback;
mod fetch;
mod fills;
mod lists;
mod options;
mod origin;
mod reader;
mod spool;
mod stall;
mod tag_lookup;
mod tags;
mod usage;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use self::fallback::or_stored;
use self::fetch::Opened;
use self::fills::{Fills, Key};
use self::lists::{ListKey, Lists};
use self::tags::Tags;
use self::usage::Usage;
use crate::*;

pub use self::options::CacheOptions;
pub use self::usage::CachedContent;

/// A repository or registry, the upstream, whose content is kept in another one, the store, when it is read for the
/// first time.
///
/// - Content that is missing is fetched from the upstream once, however many callers read it. A large blob is read while
///   it arrives; its last byte is held back until it is stored and verified. Other content is stored first.
/// - A tag is resolved by the upstream, and then by the store for the [time to live](CacheOptions::tag_ttl). Callers that
///   need the same tag at the same time share one request, unless the time to live is zero.
/// - A manifest that the upstream has no referrers for, or no tag that begins with its digest (`sha256-…`), has none for
///   the same time.
/// - While the upstream fails with a [retryable](Error::is_retryable) error or is [`Unavailable`](ErrorKind::Unavailable),
///   such as one that cannot be reached, is overloaded or asks to slow down, or does not respond for [some seconds](CacheOptions::patience), the store is used
///   alone: tags, lists of tags, referrers and repositories may be stale then. The upstream is asked again for a tag after
///   another time to live. [`is_stale`](Self::is_stale), [`has_stale_tags`](Self::has_stale_tags) and
///   [`has_stale_referrers`](Self::has_stale_referrers) tell for what that is so.
/// - An upstream that sends nothing of content for [a minute](CacheOptions::stall_timeout) makes the read fail.
/// - If the store fails, content is read from the upstream.
/// - With a [maximum size](CacheOptions::max_size), [`run`](Self::run) deletes the content that was read longest ago from the store.
///
/// Everything else goes to the upstream; wrap it in [`ReadOnly`](super::ReadOnly) for a cache that does not write.
/// What is deleted is also deleted from the store. The store should not be used for anything else.
///
/// Tags that were resolved, and lists of referrers that were empty, are remembered in memory, so a new process asks the
/// upstream once for each. A tokio runtime with timers is needed.
///
/// A fetch continues while it has a reader, or while [`run`](Self::run) is polled. Without both it ends and leaves nothing.
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
#[derive(Debug)]
pub struct Cache<U, S> {
    upstream: Arc<U>,
    store: Arc<S>,
    shared: Arc<Shared>,
    /// Where reads are counted, besides in the shared counts.
    counts: Arc<CacheCounts>,
}

/// How a part of a cache was used; see [`Cache::counting`].
#[derive(Debug, Default)]
pub struct CacheCounts {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl CacheCounts {
    /// Returns how many reads the store answered.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Returns how many reads needed content of the upstream.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }
}

/// What the repositories of a cache share.
#[derive(Debug)]
struct Shared {
    options: CacheOptions,
    tags: Tags,
    lists: Lists,
    tag_lookups: SingleFlight<(RepositoryName, Tag), Descriptor>,
    fills: Fills,
    /// Content that is being opened at the upstream.
    openings: SingleFlight<Key, Opened>,
    /// `None` without a maximum size.
    usage: Option<Usage>,
    counts: CacheCounts,
    stale: AtomicU64,
    evicted: AtomicU64,
}

/// How a [`Cache`] was used since it was made.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// How many reads the store answered.
    pub hits: u64,
    /// How many reads needed content of the upstream. Reads that share a fetch count once each.
    pub misses: u64,
    /// How many times a tag was resolved by the store since the upstream was down.
    pub stale: u64,
    /// How many pieces of content were deleted to make room.
    pub evicted: u64,
    /// How many bytes are stored. 0 without a [maximum size](CacheOptions::max_size).
    pub bytes: u64,
}

impl<U, S> Clone for Cache<U, S> {
    fn clone(&self) -> Self {
        Self {
            upstream: Arc::clone(&self.upstream),
            store: Arc::clone(&self.store),
            shared: Arc::clone(&self.shared),
            counts: Arc::clone(&self.counts),
        }
    }
}

impl<U, S> Cache<U, S> {
    /// Keeps in `store` what is read from `upstream`. Both are backends, or both are registries.
    pub fn new(upstream: U, store: S, options: CacheOptions) -> Self {
        Self {
            upstream: Arc::new(upstream),
            store: Arc::new(store),
            shared: Arc::new(Shared {
                tags: Tags::new(options.tag_ttl),
                lists: Lists::new(options.tag_ttl),
                usage: options.max_size.map(|_| Usage::new()),
                options,
                tag_lookups: SingleFlight::default(),
                fills: Fills::default(),
                openings: SingleFlight::default(),
                counts: CacheCounts::default(),
                stale: AtomicU64::default(),
                evicted: AtomicU64::default(),
            }),
            counts: Arc::default(),
        }
    }

    /// Returns the same cache, which also counts reads through it and its repositories in `counts`.
    #[must_use]
    pub fn counting(&self, counts: &Arc<CacheCounts>) -> Self {
        Self {
            counts: Arc::clone(counts),
            ..self.clone()
        }
    }

    /// Returns whether `tag` of the repository `name` was resolved, or not found, without the upstream, which was down.
    #[must_use]
    pub fn is_stale(&self, name: &RepositoryName, tag: &Tag) -> bool {
        let list = ListKey::of_tag(tag);
        self.shared.tags.is_stale(name, tag)
            || list.is_some_and(|list| self.shared.lists.is_stale(name, &list))
    }

    /// Returns whether the tags of the repository `name` were last listed without the upstream, which was down.
    #[must_use]
    pub fn has_stale_tags(&self, name: &RepositoryName) -> bool {
        self.shared.lists.is_stale(name, &ListKey::Tags)
    }

    /// Returns whether the referrers of `subject` with this type, or all of them, were last listed without the upstream,
    /// which was down.
    #[must_use]
    pub fn has_stale_referrers(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> bool {
        let list = ListKey::referrers(subject, artifact_type);
        self.shared.lists.is_stale(name, &list)
    }

    /// Returns how the cache was used.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        let shared = &self.shared;
        CacheStats {
            hits: shared.counts.hits(),
            misses: shared.counts.misses(),
            stale: shared.stale.load(Ordering::Relaxed),
            evicted: shared.evicted.load(Ordering::Relaxed),
            bytes: shared.usage.as_ref().map_or(0, Usage::bytes),
        }
    }

    /// Returns the [maximum size](CacheOptions::max_size), in bytes.
    #[must_use]
    pub fn max_size(&self) -> Option<u64> {
        self.shared.options.max_size
    }

    /// Returns whether content of the repository `name` is never deleted to make room.
    #[must_use]
    pub fn is_pinned(&self, name: &RepositoryName) -> bool {
        self.shared.options.is_pinned(name)
    }

    /// Returns whether there is a [maximum size](CacheOptions::max_size).
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.shared.usage.is_some()
    }

    /// Returns the content that is stored and may be deleted to make room, beginning with the content read longest ago: for a
    /// later process, which passes each to [`add_stored`](Self::add_stored). Without a
    /// [maximum size](CacheOptions::max_size) nothing is remembered.
    #[must_use]
    pub fn stored(&self) -> Vec<CachedContent> {
        let usage = self.shared.usage.as_ref();
        usage.map_or_else(Vec::new, Usage::contents)
    }

    /// Counts content that an earlier process has stored, as having been read before all content that is known.
    pub fn add_stored(&self, content: CachedContent) {
        if let Some(usage) = self.shared.usage(&content.repository) {
            usage.found(content);
        }
    }
}

impl<U: Registry, S: Registry> Cache<U, S> {
    /// Finishes fetches that have lost their readers, and deletes the content read longest ago from the store while there is
    /// more than the [maximum size](CacheOptions::max_size).
    ///
    /// This never ends. Poll it beside the program's work, for example with `select!`; after it is dropped, fetches
    /// depend on their readers, and nothing is deleted.
    pub async fn run(&self) {
        self.make_room().await;
        self.shared
            .fills
            .drive(async || self.make_room().await)
            .await;
    }

    async fn make_room(&self) {
        let limits = self.shared.usage.as_ref().zip(self.shared.options.max_size);
        let Some((usage, limit)) = limits else { return };
        while let Some(content) = usage.take_excess(limit) {
            match self.delete(&content).await {
                Ok(()) => {
                    self.shared.evicted.fetch_add(1, Ordering::Relaxed);
                }
                // Another process has deleted it.
                Err(error) if error.is_not_found() => {}
                Err(_) => {
                    // It is tried again after the next fetch.
                    usage.found(content);
                    return;
                }
            }
        }
    }

    async fn delete(&self, content: &CachedContent) -> Result<()> {
        let repository = self.store.repository(&content.repository).await?;
        match content.kind {
            ContentKind::Blob => repository.blobs().delete(&content.target).await,
            ContentKind::Manifest => repository.manifests().delete(&content.target).await,
        }
    }
}

impl Shared {
    /// Returns whether the content can be stored at all.
    fn has_room_for(&self, name: &RepositoryName, target: &Descriptor) -> bool {
        let limit = self.options.max_size.unwrap_or(u64::MAX);
        target.size() <= limit || self.options.is_pinned(name)
    }

    /// Returns the record of what is used last, if content of the repository may be deleted.
    fn usage(&self, name: &RepositoryName) -> Option<&Usage> {
        let usage = self.usage.as_ref()?;
        (!self.options.is_pinned(name)).then_some(usage)
    }
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
            counts: Arc::clone(&self.counts),
        }))
    }

    fn repositories(&self, options: ListOptions) -> Listing<'_, RepositoryName> {
        let listing = self.upstream.repositories(options.clone());
        let patience = self.shared.options.stall_timeout;
        or_stored(listing, patience, move || self.store.repositories(options))
    }

    async fn expire_uploads(&self, idle: Duration) -> Result<u64> {
        let expired = self.upstream.expire_uploads(idle).await?;
        Ok(expired + self.store.expire_uploads(idle).await?)
    }
}
