//! A cache reads content while it is fetched, and makes room for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{Either, join_all, select};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tranship::layers::{Cache, CacheOptions, CachedContent};
use tranship::prelude::*;
use tranship::*;
use tranship_memory::{MemoryOptions, MemoryRegistry, MemoryRepository};

/// The size of a chunk that the upstream sends.
const CHUNK: usize = 64 * 1024;

/// An upstream whose bodies arrive in chunks, each of which takes a permit.
#[derive(Debug, Clone)]
struct Slow {
    inner: MemoryRepository,
    permits: Arc<Semaphore>,
    opened: Arc<AtomicUsize>,
    /// After how many chunks a body breaks off, once.
    breaks_after: Arc<AtomicUsize>,
    alters_last: bool,
}

const NEVER: usize = usize::MAX;

impl Slow {
    fn new(inner: &MemoryRepository) -> Self {
        Self {
            inner: inner.clone(),
            permits: Arc::new(Semaphore::new(0)),
            opened: Arc::default(),
            breaks_after: Arc::new(AtomicUsize::new(NEVER)),
            alters_last: false,
        }
    }

    /// Returns `content` with a body that arrives slowly.
    async fn slowed(&self, content: Content) -> Result<Content> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let descriptor = content.descriptor().clone();
        let range = content.range().cloned();
        let mut bytes: Vec<u8> = content
            .into_body()
            .into_stream()
            .try_collect::<Vec<Bytes>>()
            .await?
            .concat();
        if let (true, Some(last)) = (self.alters_last, bytes.last_mut()) {
            *last ^= 1;
        }
        let breaks_after = self.breaks_after.swap(NEVER, Ordering::SeqCst);
        let chunks: Vec<_> = bytes.chunks(CHUNK).map(Bytes::copy_from_slice).collect();
        let permits = Arc::clone(&self.permits);
        let body = stream::iter(chunks).enumerate().then(move |(n, chunk)| {
            let permits = Arc::clone(&permits);
            async move {
                if n >= breaks_after {
                    return Err(Error::new(ErrorKind::Unavailable, "the connection broke"));
                }
                permits.acquire().await.expect("open").forget();
                Ok(chunk)
            }
        });
        let body = Body::from_stream(body);
        Ok(match range {
            Some(range) => Content::partial(descriptor, range, body),
            None => Content::new(descriptor, body),
        })
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Backend for Slow {
    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        let content = Backend::read(&self.inner, kind, target).await?;
        self.slowed(content).await
    }

    async fn read_range(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        let content = Backend::read_range(&self.inner, kind, target, range).await?;
        self.slowed(content).await
    }

    async fn read_reference(&self, kind: ContentKind, reference: &TagOrDigest) -> Result<Content> {
        let content = Backend::read_reference(&self.inner, kind, reference).await?;
        self.slowed(content).await
    }

    tranship::forward_backend!(self, self.inner;
        info stat write direct_url find mount_blob remove set_tag remove_tag list_tags list_referrers list_predecessors
        start_upload resume_upload begin_batch prepare_for_pushes);
}

async fn blob(repository: &MemoryRepository, chunks: usize) -> (Descriptor, Vec<u8>) {
    let content: Vec<u8> = (0..chunks * CHUNK).map(|n| (n / 7 % 251) as u8).collect();
    let pushed = push_bytes(repository, MediaType::OCTET_STREAM, content.clone()).await;
    (pushed.expect("pushed"), content)
}

/// Reads until `length` bytes have arrived.
async fn read_bytes(
    stream: &mut (impl futures_util::Stream<Item = Result<Bytes>> + Unpin),
    length: usize,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        bytes.extend(stream.next().await.expect("a chunk").expect("read"));
    }
    bytes
}

#[tokio::test]
async fn a_large_blob_is_read_while_it_arrives() {
    let upstream = MemoryRepository::new();
    let (target, content) = blob(&upstream, 8).await;
    let slow = Slow::new(&upstream);
    let store = MemoryRepository::new();
    let cache = Cache::new(slow.clone(), store.clone(), CacheOptions::default());

    let mut reader = cache.fetch(&target).await.expect("opened").into_stream();
    slow.permits.add_permits(3);
    let mut read = read_bytes(&mut reader, 3 * CHUNK).await;
    assert!(!store.exists(&target).await.expect("looked"));

    // A reader that comes later reads what has arrived without waiting for more.
    let mut late = cache.fetch(&target).await.expect("opened").into_stream();
    assert_eq!(read_bytes(&mut late, 3 * CHUNK).await, content[..3 * CHUNK]);

    slow.permits.add_permits(5);
    read.extend(read_bytes(&mut reader, 5 * CHUNK).await);
    assert!(reader.next().await.is_none());
    assert_eq!(read, content);
    assert_eq!(slow.opened.load(Ordering::SeqCst), 1);
    assert!(store.exists(&target).await.expect("looked"));
}

#[tokio::test]
async fn five_hundred_readers_cause_one_fetch() {
    let upstream = MemoryRepository::new();
    let (target, content) = blob(&upstream, 4).await;
    let slow = Slow::new(&upstream);
    slow.permits.add_permits(4);
    let cache = Cache::new(
        slow.clone(),
        MemoryRepository::new(),
        CacheOptions::default(),
    );
    let digest: TagOrDigest = (*target.digest()).into();
    let blobs = cache.blobs();
    let readers = (0..500).map(|_| async {
        let found = blobs.fetch_reference(&digest).await.expect("opened");
        found.bytes(1 << 20).await.expect("read")
    });
    for read in join_all(readers).await {
        assert_eq!(read, content);
    }
    assert_eq!(slow.opened.load(Ordering::SeqCst), 1);
    assert_eq!(cache.stats().misses + cache.stats().hits, 500);
}

#[tokio::test]
async fn altered_content_does_not_end_as_if_it_were_whole() {
    let upstream = MemoryRepository::new();
    let (target, _) = blob(&upstream, 4).await;
    let slow = Slow {
        alters_last: true,
        ..Slow::new(&upstream)
    };
    slow.permits.add_permits(4);
    let store = MemoryRepository::new();
    let cache = Cache::new(slow, store.clone(), CacheOptions::default());
    // Unverified, as a server passes it on.
    let body = cache.fetch(&target).await.expect("opened").into_body();
    let mut body = body.into_stream();
    let mut length = 0;
    let error = loop {
        match body.next().await.expect("no end") {
            Ok(chunk) => length += chunk.len(),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    assert!(length < 4 * CHUNK);
    assert!(!store.exists(&target).await.expect("looked"));
}

#[tokio::test]
async fn a_broken_fetch_continues_where_it_broke() {
    let upstream = MemoryRepository::new();
    let (target, content) = blob(&upstream, 6).await;
    let slow = Slow::new(&upstream);
    slow.breaks_after.store(2, Ordering::SeqCst);
    slow.permits.add_permits(100);
    let cache = Cache::new(slow, MemoryRepository::new(), CacheOptions::default());
    let read = cache.fetch(&target).await.expect("opened").bytes(1 << 20);
    assert_eq!(read.await.expect("read"), content);
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_stalls_is_waited_for_a_minute() {
    let upstream = MemoryRepository::new();
    for (chunks, sent) in [(8, 3), (8, 0), (1, 0)] {
        let (target, content) = blob(&upstream, chunks).await;
        let slow = Slow::new(&upstream);
        let store = MemoryRepository::new();
        let cache = Cache::new(slow.clone(), store, CacheOptions::default());
        slow.permits.add_permits(sent);
        let begun = Instant::now();
        let read = async {
            let mut reader = cache.fetch(&target).await?.into_stream();
            assert_eq!(
                read_bytes(&mut reader, sent * CHUNK).await,
                content[..sent * CHUNK]
            );
            reader.try_next().await
        };
        let error = read.await.expect_err("it stalls");
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(begun.elapsed().as_secs(), 60, "{chunks} {sent}");
    }
}

#[tokio::test]
async fn a_full_store_does_not_break_off_a_large_blob() {
    let upstream = MemoryRepository::new();
    let (target, content) = blob(&upstream, 4).await;
    let slow = Slow::new(&upstream);
    slow.permits.add_permits(100);
    let full = MemoryRepository::with_options(MemoryOptions::default().with_quota(CHUNK as u64));
    let cache = Cache::new(slow, full, CacheOptions::default());
    let read = cache.fetch(&target).await.expect("opened").bytes(1 << 20);
    assert_eq!(read.await.expect("read"), content);
}

/// A registry of one repository `app`, in a cache with a maximum size.
fn bounded(
    upstream: &MemoryRegistry,
    max_size: u64,
) -> (Cache<MemoryRegistry, MemoryRegistry>, MemoryRegistry) {
    let store = MemoryRegistry::new();
    let options = CacheOptions::default()
        .with_max_size(max_size)
        .with_pinned(|name| name.as_str() == "pinned");
    (Cache::new(upstream.clone(), store.clone(), options), store)
}

async fn app(registry: &dyn Registry, name: &str) -> Arc<dyn Repository> {
    let name = name.parse().expect("a name");
    registry.repository(&name).await.expect("opened")
}

/// Polls `cache.run()` until `done` has ended.
async fn while_running<T>(
    cache: &Cache<MemoryRegistry, MemoryRegistry>,
    done: impl Future<Output = T>,
) -> T {
    match select(Box::pin(cache.run()), Box::pin(done)).await {
        Either::Left(_) => panic!("it never ends"),
        Either::Right((value, _)) => value,
    }
}

/// Waits until the store has only this content of `all`.
async fn has_only(store: &dyn Repository, all: &[Descriptor], expected: &[usize]) {
    loop {
        let mut stored = Vec::new();
        for (n, target) in all.iter().enumerate() {
            if store.exists(target).await.expect("looked") {
                stored.push(n);
            }
        }
        if stored == expected {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_was_read_longest_ago_makes_room() {
    let upstream = MemoryRegistry::new();
    let origin = app(&upstream, "app").await;
    let mut blobs = Vec::new();
    for text in ["first", "other", "third"] {
        let pushed = push_bytes(&*origin, MediaType::OCTET_STREAM, text).await;
        blobs.push(pushed.expect("pushed"));
    }
    let (cache, store) = bounded(&upstream, 10);
    let cached = app(&cache, "app").await;
    while_running(&cache, async {
        for n in [0, 1, 0, 2] {
            let read = cached.fetch(&blobs[n]).await.expect("opened").read().await;
            assert_eq!(read.expect("read").len(), 5);
        }
        has_only(&*app(&store, "app").await, &blobs, &[0, 2]).await;
    })
    .await;
    assert_eq!(cache.stats().bytes, 10);
    assert_eq!(cache.stats().evicted, 1);
    let order: Vec<_> = cache.stored().into_iter().map(|it| it.target).collect();
    assert_eq!(order, [blobs[0].clone(), blobs[2].clone()]);
}

#[tokio::test]
async fn pinned_repositories_are_kept_and_larger_content_is_not_stored() {
    let upstream = MemoryRegistry::new();
    let (cache, store) = bounded(&upstream, 4);
    for (name, is_stored) in [("pinned", true), ("app", false)] {
        let origin = app(&upstream, name).await;
        let blob = push_bytes(&*origin, MediaType::OCTET_STREAM, "larger").await;
        let blob = blob.expect("pushed");
        let cached = app(&cache, name).await;
        let read = cached.fetch(&blob).await.expect("opened").read().await;
        assert_eq!(read.expect("read"), "larger");
        let stored = app(&store, name).await.exists(&blob).await;
        assert_eq!(stored.expect("looked"), is_stored, "{name}");
    }
}

#[tokio::test]
async fn content_of_an_earlier_process_is_deleted_first() {
    let upstream = MemoryRegistry::new();
    let (cache, store) = bounded(&upstream, 8);
    let old = app(&store, "app").await;
    let old = push_bytes(&*old, MediaType::OCTET_STREAM, "old").await;
    let old = old.expect("pushed");
    let name: RepositoryName = "app".parse().expect("a name");
    cache.add_stored(CachedContent::new(name, ContentKind::Blob, old.clone()));
    let origin = app(&upstream, "app").await;
    let new = push_bytes(&*origin, MediaType::OCTET_STREAM, "newer").await;
    let new = new.expect("pushed");
    let cached = app(&cache, "app").await;
    while_running(&cache, async {
        let _ = cached.fetch(&new).await.expect("opened").read().await;
        let newer = push_bytes(&*origin, MediaType::OCTET_STREAM, "!").await;
        let newer = newer.expect("pushed");
        let _ = cached.fetch(&newer).await.expect("opened").read().await;
        has_only(&*app(&store, "app").await, &[old, new, newer], &[1, 2]).await;
    })
    .await;
}

#[tokio::test]
async fn a_fetch_finishes_after_its_reader_has_left() {
    let upstream = MemoryRepository::new();
    let (target, _) = blob(&upstream, 4).await;
    let slow = Slow::new(&upstream);
    let store = MemoryRegistry::new();
    let registry = OneRepository(slow.clone(), RegistryIdentity::new("slow"));
    let cache = Cache::new(registry, store.clone(), CacheOptions::default());
    let cached = app(&cache, "app").await;
    let done = async {
        let mut reader = cached.fetch(&target).await.expect("opened").into_stream();
        slow.permits.add_permits(1);
        read_bytes(&mut reader, CHUNK).await;
        drop(reader);
        slow.permits.add_permits(3);
        has_only(&*app(&store, "app").await, &[target], &[0]).await;
    };
    match select(Box::pin(cache.run()), Box::pin(done)).await {
        Either::Left(_) => panic!("it never ends"),
        Either::Right(_) => {}
    }
    assert_eq!(slow.opened.load(Ordering::SeqCst), 1);
}

/// A registry whose repositories are all one.
#[derive(Debug)]
struct OneRepository(Slow, RegistryIdentity);

#[async_trait]
impl Registry for OneRepository {
    fn identity(&self) -> &RegistryIdentity {
        &self.1
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    async fn repository(&self, _: &RepositoryName) -> Result<Arc<dyn Repository>> {
        Ok(Arc::new(self.0.clone()))
    }
}
