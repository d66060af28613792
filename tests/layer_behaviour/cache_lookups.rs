//! Lookups of a cache at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use tokio::sync::Notify;
use tranship::layers::{Cache, CacheOptions};
use tranship::prelude::*;
use tranship::*;
use tranship_memory::MemoryRepository;

use crate::cache::{MINUTE, stage};
use crate::spy::Spy;
use crate::{push, resolve, tag};

#[tokio::test(start_paused = true)]
async fn callers_of_a_tag_share_the_lookup_until_it_is_stored() {
    let stage = stage(MINUTE);
    for (lookups, text) in [(1, "old"), (2, "new")] {
        let image = push(&stage.upstream, text, "v1").await;
        tokio::time::advance(MINUTE).await;
        stage.asked.permits.forget_permits(1000);
        // The upstream has responded to the first one, which waits for the content.
        let mut first = Box::pin(resolve(&stage.cache, "v1"));
        assert!((&mut first).now_or_never().is_none());
        let mut second = Box::pin(resolve(&stage.cache, "v1"));
        assert!((&mut second).now_or_never().is_none());
        stage.asked.permits.add_permits(1000);
        assert_eq!(first.await.as_ref(), Some(&image));
        assert_eq!(second.await, Some(image));
        assert_eq!(stage.asked.stats(), lookups);
    }
}

/// A store whose first read returns its result late.
#[derive(Debug)]
struct Late {
    inner: MemoryRepository,
    is_first: AtomicBool,
    release: Arc<Notify>,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Backend for Late {
    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        let found = self.inner.read(kind, target).await;
        if self.is_first.swap(false, Ordering::SeqCst) {
            self.release.notified().await;
        }
        found
    }

    tranship::forward_backend!(self, self.inner;
        info find stat write read_range read_reference direct_url mount_blob remove set_tag remove_tag list_tags
        list_referrers list_predecessors start_upload resume_upload begin_batch prepare_for_pushes);
}

#[tokio::test]
async fn content_that_is_stored_after_a_failed_read_is_not_fetched_again() {
    let upstream = MemoryRepository::new();
    let blob = push_bytes(&upstream, MediaType::OCTET_STREAM, "blob").await;
    let blob = blob.expect("pushed");
    let release = Arc::new(Notify::new());
    let store = Late {
        inner: MemoryRepository::new(),
        is_first: AtomicBool::new(true),
        release: Arc::clone(&release),
    };
    let spy = Spy::new(upstream);
    let asked = Arc::clone(&spy.state);
    let cache = Cache::new(spy, store, CacheOptions::default());
    let read = async || cache.fetch(&blob).await?.read().await;
    let mut first = Box::pin(read());
    assert!((&mut first).now_or_never().is_none());
    assert_eq!(read().await.expect("fetched"), "blob");
    release.notify_one();
    assert_eq!(first.await.expect("stored"), "blob");
    assert_eq!(asked.reads(), 1);
}

#[tokio::test]
async fn a_tag_that_is_gone_does_not_return_with_a_late_response() {
    let stage = stage(Duration::ZERO);
    push(&stage.upstream, "old", "v1").await;
    stage.asked.permits.forget_permits(1000);
    let mut first = Box::pin(resolve(&stage.cache, "v1"));
    assert!((&mut first).now_or_never().is_none());
    stage.upstream.untag(&tag("v1")).await.expect("removed");
    assert_eq!(resolve(&stage.cache, "v1").await, None);
    stage.asked.permits.add_permits(1000);
    first.await.expect("resolved");
    assert_eq!(resolve(&stage.store, "v1").await, None);
}

#[tokio::test]
async fn a_late_response_does_not_replace_a_later_one() {
    let stage = stage(Duration::ZERO);
    push(&stage.upstream, "old", "v1").await;
    stage.asked.permits.forget_permits(1000);
    let mut first = Box::pin(resolve(&stage.cache, "v1"));
    assert!((&mut first).now_or_never().is_none());
    // Moved by another client of the upstream. The content is in the store already.
    let new = push(&stage.upstream, "new", "v1").await;
    push(&stage.store, "new", "stored").await;
    assert_eq!(resolve(&stage.cache, "v1").await.as_ref(), Some(&new));
    stage.asked.permits.add_permits(1000);
    first.await.expect("resolved");
    assert_eq!(resolve(&stage.store, "v1").await.as_ref(), Some(&new));
}
