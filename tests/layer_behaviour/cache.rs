use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tranship::layers::{Cache, CacheOptions, ReadOnly};
use tranship::prelude::*;
use tranship::*;
use tranship_layout::Layout;
use tranship_memory::{MemoryOptions, MemoryRepository};

use crate::spy::{Spy, State};
use crate::{push, resolve, tag};

/// A cache, its upstream and its store, and what reaches the upstream.
pub(crate) struct Stage {
    pub(crate) upstream: MemoryRepository,
    pub(crate) store: MemoryRepository,
    pub(crate) cache: Cache<Spy<MemoryRepository>, MemoryRepository>,
    pub(crate) asked: Arc<State>,
}

pub(crate) fn stage(ttl: Duration) -> Stage {
    let (upstream, store) = (MemoryRepository::new(), MemoryRepository::new());
    let spy = Spy::new(upstream.clone());
    let asked = Arc::clone(&spy.state);
    let options = CacheOptions::default().with_tag_ttl(ttl);
    let cache = Cache::new(spy, store.clone(), options);
    Stage {
        upstream,
        store,
        cache,
        asked,
    }
}

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

async fn read(store: &dyn Fetcher, target: &Descriptor) -> Result<Bytes> {
    store.fetch(target).await?.read().await
}

#[tokio::test]
async fn content_is_fetched_once_and_then_read_from_the_store() {
    let stage = stage(MINUTE);
    let blob = push_bytes(&stage.upstream, MediaType::OCTET_STREAM, "blob").await;
    let blob = blob.expect("pushed");
    for _ in 0..3 {
        assert_eq!(read(&stage.cache, &blob).await.expect("read"), "blob");
    }
    assert_eq!(stage.asked.reads(), 1);
    assert!(stage.store.exists(&blob).await.expect("looked"));
}

#[tokio::test]
async fn readers_of_one_missing_blob_share_one_fetch() {
    let stage = stage(MINUTE);
    let blob = push_bytes(&stage.upstream, MediaType::OCTET_STREAM, vec![7; 1 << 20]).await;
    let blob = blob.expect("pushed");
    let readers = (0..20).map(|_| read(&stage.cache, &blob));
    for content in join_all(readers).await {
        assert_eq!(content.expect("read").len(), 1 << 20);
    }
    assert_eq!(stage.asked.reads(), 1);
}

#[tokio::test]
async fn a_reader_that_leaves_does_not_stop_the_others() {
    let stage = stage(MINUTE);
    let blob = push_bytes(&stage.upstream, MediaType::OCTET_STREAM, "blob").await;
    let blob = blob.expect("pushed");
    stage.asked.permits.forget_permits(1000);
    let mut first = Box::pin(read(&stage.cache, &blob));
    assert!((&mut first).now_or_never().is_none());
    let second = read(&stage.cache, &blob);
    drop(first);
    stage.asked.permits.add_permits(1);
    assert_eq!(second.await.expect("read"), "blob");
}

#[tokio::test]
async fn a_fetch_that_every_reader_left_starts_anew() {
    let stage = stage(MINUTE);
    let blob = push_bytes(&stage.upstream, MediaType::OCTET_STREAM, "blob").await;
    let blob = blob.expect("pushed");
    stage.asked.permits.forget_permits(1000);
    assert!(read(&stage.cache, &blob).now_or_never().is_none());
    stage.asked.permits.add_permits(2);
    assert_eq!(read(&stage.cache, &blob).await.expect("read"), "blob");
    assert_eq!(stage.asked.reads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_tag_is_resolved_again_after_its_time_to_live() {
    let stage = stage(MINUTE);
    let old = push(&stage.upstream, "old", "latest").await;
    assert_eq!(resolve(&stage.cache, "latest").await, Some(old.clone()));
    let new = push(&stage.upstream, "new", "latest").await;
    assert_eq!(resolve(&stage.cache, "latest").await, Some(old));
    tokio::time::advance(MINUTE).await;
    assert_eq!(resolve(&stage.cache, "latest").await, Some(new.clone()));
    assert_eq!(stage.asked.stats(), 2);
    assert_eq!(resolve(&stage.store, "latest").await, Some(new));
}

#[tokio::test]
async fn a_tag_that_is_moved_during_a_request_resolves_to_its_new_target() {
    let stage = stage(MINUTE);
    push(&stage.upstream, "old", "v1").await;
    let new = push(&stage.upstream, "new", "other").await;
    // The request has the old target, and waits for its content.
    stage.asked.permits.forget_permits(1000);
    let mut first = Box::pin(resolve(&stage.cache, "v1"));
    assert!((&mut first).now_or_never().is_none());
    stage.cache.tag(&new, &tag("v1")).await.expect("moved");
    stage.asked.permits.add_permits(1000);
    first.await.expect("resolved");
    for _ in 0..2 {
        assert_eq!(resolve(&stage.cache, "v1").await.as_ref(), Some(&new));
    }
}

#[tokio::test]
async fn a_tag_that_was_removed_is_not_resolved_while_the_upstream_is_down() {
    let stage = stage(MINUTE);
    push(&stage.upstream, "image", "v1").await;
    resolve(&stage.cache, "v1").await.expect("cached");
    stage.cache.untag(&tag("v1")).await.expect("removed");
    stage.asked.goes_down();
    let error = stage.cache.resolve(&tag("v1").into()).await;
    assert_eq!(error.expect_err("removed").kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_the_upstream_removed_is_removed() {
    let stage = stage(MINUTE);
    push(&stage.upstream, "old", "latest").await;
    resolve(&stage.cache, "latest").await.expect("cached");
    stage.upstream.untag(&tag("latest")).await.expect("removed");
    tokio::time::advance(MINUTE).await;
    assert_eq!(resolve(&stage.cache, "latest").await, None);
    assert_eq!(resolve(&stage.store, "latest").await, None);
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_is_served_while_the_upstream_is_down() {
    let stage = stage(MINUTE);
    let image = push(&stage.upstream, "image", "latest").await;
    push(&stage.upstream, "other", "unread").await;
    resolve(&stage.cache, "latest").await.expect("cached");
    stage.asked.goes_down();
    tokio::time::advance(MINUTE).await;
    assert_eq!(resolve(&stage.cache, "latest").await, Some(image.clone()));
    assert!(read(&stage.cache, &image).await.is_ok());
    assert_eq!(tags(&stage.cache).await.expect("listed"), [tag("latest")]);
    let unread = stage.cache.resolve(&tag("unread").into()).await;
    assert_eq!(unread.expect_err("down").kind(), ErrorKind::Unavailable);
    // The upstream is not asked for the tag again at once.
    let asked = stage.asked.stats();
    resolve(&stage.cache, "latest").await.expect("stale");
    assert_eq!(stage.asked.stats(), asked);
}

#[tokio::test]
async fn a_list_that_is_not_stored_fails_while_the_upstream_is_down() {
    let stage = stage(Duration::ZERO);
    push(&stage.upstream, "image", "latest").await;
    stage.asked.goes_down();
    let error = tags(&stage.cache).await.expect_err("not known");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_tag_is_stale_until_the_upstream_answers_again() {
    let stage = stage(MINUTE);
    let name = stage.cache.name().clone();
    push(&stage.upstream, "image", "latest").await;
    resolve(&stage.cache, "latest").await.expect("cached");
    assert!(!stage.cache.is_stale(&name, &tag("latest")));
    stage.asked.is_down.store(true, Ordering::SeqCst);
    tokio::time::advance(MINUTE).await;
    resolve(&stage.cache, "latest").await.expect("stale");
    assert!(stage.cache.is_stale(&name, &tag("latest")));
    assert_eq!(stage.cache.stats().stale, 1);
    stage.asked.is_down.store(false, Ordering::SeqCst);
    tokio::time::advance(MINUTE).await;
    resolve(&stage.cache, "latest").await.expect("fresh");
    assert!(!stage.cache.is_stale(&name, &tag("latest")));
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_does_not_respond_is_not_waited_for_long() {
    let stage = stage(MINUTE);
    let image = push(&stage.upstream, "image", "latest").await;
    resolve(&stage.cache, "latest").await.expect("cached");
    tokio::time::advance(MINUTE).await;
    stage.asked.hangs.store(true, Ordering::SeqCst);
    // Time passes when every task waits.
    assert_eq!(resolve(&stage.cache, "latest").await, Some(image));
}

#[tokio::test]
async fn a_full_store_does_not_keep_content_from_readers() {
    let upstream = MemoryRepository::new();
    let full = MemoryRepository::with_options(MemoryOptions::default().with_quota(2));
    let cache = Cache::new(upstream.clone(), full, CacheOptions::default());
    let image = push(&upstream, "image", "latest").await;
    assert_eq!(resolve(&cache, "latest").await, Some(image.clone()));
    assert!(read(&cache, &image).await.is_ok());
}

/// A repository whose content is altered.
#[derive(Debug)]
struct Altered(MemoryRepository);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Backend for Altered {
    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        let content = self.0.read(kind, target).await?;
        let mut bytes = content.bytes(1024).await?.to_vec();
        bytes[0] ^= 1;
        Ok(Content::from_bytes(target.clone(), bytes.into()))
    }

    tranship::forward_backend!(self, self.0;
        info stat write read_range read_reference direct_url find mount_blob remove set_tag remove_tag list_tags
        list_referrers list_predecessors start_upload resume_upload begin_batch prepare_for_pushes);
}

#[tokio::test]
async fn altered_content_is_not_stored() {
    let (upstream, store) = (MemoryRepository::new(), MemoryRepository::new());
    let blob = push_bytes(&upstream, MediaType::OCTET_STREAM, "blob").await;
    let blob = blob.expect("pushed");
    let cache = Cache::new(Altered(upstream), store.clone(), CacheOptions::default());
    let error = read(&cache, &blob).await.expect_err("altered");
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    assert!(!store.exists(&blob).await.expect("looked"));
}

#[tokio::test]
async fn an_image_is_kept_in_a_layout_without_what_was_not_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Layout::create(directory.path()).await.expect("a layout");
    let upstream = MemoryRepository::new();
    let layer = push_bytes(&upstream, MediaType::IMAGE_LAYER, "layer").await;
    let options = PackOptions::new("application/vnd.example".parse().expect("a type"))
        .with_layer(layer.expect("pushed"));
    let packed = pack_and_tag(&upstream, &options, &[tag("v1")]).await;
    let packed = packed.expect("packed").plain();
    let cache = Cache::new(
        ReadOnly::new(upstream.clone()),
        store.clone(),
        CacheOptions::default(),
    );
    assert_eq!(resolve(&cache, "v1").await, Some(packed.clone()));
    assert_eq!(resolve(&store, "v1").await, Some(packed));

    let destination = MemoryRepository::new();
    let copied = copy_tag(&cache, &destination, &tag("v1"), &CopyOptions::default()).await;
    assert_eq!(copied.expect("copied").count(CopyAction::Copied), 3);
    let checked = store.fsck(&tranship_layout::FsckOptions::default()).await;
    assert!(checked.expect("checked").findings.is_empty());
    assert!(
        push_bytes(&cache, MediaType::OCTET_STREAM, "no")
            .await
            .is_err()
    );
}
