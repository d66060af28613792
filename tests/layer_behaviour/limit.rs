use std::num::NonZero;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use futures_util::{FutureExt as _, TryStreamExt as _};
use tokio::time::Instant;
use tranship::layers::{Inject, InjectOptions, Limit, LimitOptions};
use tranship::prelude::*;
use tranship::{
    ErrorKind, ListOptions, MediaType, PushOutcome, Source, push_bytes, repositories, tag_bytes,
};
use tranship_layout::Layout;
use tranship_memory::{MemoryRegistry, MemoryRepository};

use crate::{blob, name};

const SECOND: Duration = Duration::from_secs(1);

fn at_a_time(concurrency: usize) -> LimitOptions {
    let concurrency = NonZero::new(concurrency).expect("a number");
    LimitOptions::default().with_concurrency(concurrency)
}

/// A repository in which every call takes a second.
fn slow() -> Inject<MemoryRepository> {
    let options = InjectOptions::default().with_latency(SECOND);
    Inject::new(MemoryRepository::new(), options)
}

#[tokio::test(start_paused = true)]
async fn so_many_calls_run_at_a_time() {
    let repository = Limit::new(slow(), at_a_time(3));
    let (descriptor, _) = blob("x");
    let start = Instant::now();
    let calls = (0..7).map(|_| repository.exists(&descriptor));
    try_join_all(calls).await.expect("found");
    assert_eq!(start.elapsed(), 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_repositories_of_a_registry_share_its_limits() {
    let options = InjectOptions::default().with_latency(SECOND);
    let registry = Limit::new(Inject::new(MemoryRegistry::new(), options), at_a_time(1));
    let (descriptor, _) = blob("x");
    let one = registry.repository(&name("one")).await.expect("one");
    let other = registry.repository(&name("other")).await.expect("other");
    let start = Instant::now();
    join_all([one.exists(&descriptor), other.exists(&descriptor)]).await;
    assert_eq!(start.elapsed(), 2 * SECOND);
}

#[tokio::test]
async fn content_counts_until_it_is_read_or_dropped() {
    let repository = Limit::new(MemoryRepository::new(), at_a_time(1));
    let (descriptor, content) = blob("hello");
    repository
        .push(&descriptor, content.into())
        .await
        .expect("a push");

    let opened = repository.fetch(&descriptor).await.expect("opened");
    assert!(repository.fetch(&descriptor).now_or_never().is_none());
    drop(opened);

    let mut stream = repository
        .fetch(&descriptor)
        .await
        .expect("opened")
        .into_stream();
    assert!(repository.fetch(&descriptor).now_or_never().is_none());
    stream.try_next().await.expect("read");
    assert!(repository.fetch(&descriptor).now_or_never().is_some());
}

#[tokio::test]
async fn a_local_file_stays_one_and_counts() {
    let directory = tempfile::tempdir().expect("a directory");
    let layout = Layout::create(directory.path()).await.expect("a layout");
    let repository = Limit::new(layout, at_a_time(1));
    let (descriptor, content) = blob("hello");
    repository
        .push(&descriptor, content.into())
        .await
        .expect("a push");

    let body = repository
        .fetch(&descriptor)
        .await
        .expect("opened")
        .into_body();
    let file = body.local_file().expect("a local file").clone();
    drop(body);
    assert!(repository.exists(&descriptor).now_or_never().is_none());
    file.observe(5);
    repository.exists(&descriptor).await.expect("found");
}

#[tokio::test]
async fn a_push_can_be_read_through_the_same_layer() {
    let registry = Limit::new(MemoryRegistry::new(), at_a_time(1));
    let one = registry.repository(&name("one")).await.expect("one");
    let other = registry.repository(&name("other")).await.expect("other");
    let (descriptor, content) = blob("hello");
    one.push(&descriptor, content.into()).await.expect("a push");
    let source = Source::stored(&one, &descriptor);
    other.push(&descriptor, source).await.expect("a push");
    assert!(other.exists(&descriptor).await.expect("found"));
}

#[tokio::test]
async fn calls_can_be_made_about_each_item_of_a_listing() {
    let repository = Limit::new(MemoryRepository::new(), at_a_time(1));
    let index = r#"{"schemaVersion":2,"manifests":[]}"#;
    let names = ["a", "b"].map(|name| name.parse().expect("a tag"));
    let pushed = tag_bytes(&repository, MediaType::IMAGE_INDEX, index, &names).await;
    pushed.expect("a push");
    let mut tags = repository.tags(ListOptions::default());
    let mut count = 0;
    while let Some(tag) = tags.try_next().await.expect("a tag") {
        repository.resolve(&tag.into()).await.expect("resolved");
        count += 1;
    }
    assert_eq!(count, 2);
}

#[tokio::test(start_paused = true)]
async fn calls_begin_at_the_rate() {
    let options = LimitOptions::default().with_rate(NonZero::new(4).expect("a number"));
    let repository = Limit::new(MemoryRepository::new(), options);
    let (descriptor, _) = blob("x");
    let start = Instant::now();
    // The first call begins at once; one that is dropped does not use its turn.
    repository.exists(&descriptor).await.expect("found");
    assert!(repository.exists(&descriptor).now_or_never().is_none());
    let calls = (0..8).map(|_| repository.exists(&descriptor));
    try_join_all(calls).await.expect("found");
    assert_eq!(start.elapsed(), 2 * SECOND);
    // Calls that were not made are not added to the following ones.
    tokio::time::sleep(10 * SECOND).await;
    let start = Instant::now();
    let calls = (0..5).map(|_| repository.exists(&descriptor));
    try_join_all(calls).await.expect("found");
    assert_eq!(start.elapsed(), SECOND);
}

fn quota(bytes: u64) -> LimitOptions {
    LimitOptions::default().with_quota(bytes)
}

#[tokio::test]
async fn a_push_over_the_quota_does_not_read_its_source() {
    let repository = Limit::new(MemoryRepository::new(), quota(9).with_used(5));
    let (descriptor, _) = blob("hello");
    // A source that cannot be read.
    let source = Source::file("/nonexistent/tranship");
    let error = repository
        .push(&descriptor, source)
        .await
        .expect_err("full");
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert!(error.hint().is_some());
    assert_eq!(
        error.to_string(),
        format!(
            "push {}: 5 bytes do not fit the quota of 9: 5 are used",
            descriptor.digest()
        )
    );
    assert_eq!(repository.used(), 5);
}

#[tokio::test]
async fn only_content_that_is_stored_counts() {
    let registry = Limit::new(MemoryRegistry::new(), quota(12));
    let one = registry.repository(&name("one")).await.expect("one");
    let other = registry.repository(&name("other")).await.expect("other");
    let (descriptor, content) = blob("hello");
    one.push(&descriptor, content.clone().into())
        .await
        .expect("a push");
    assert_eq!(registry.used(), 5);
    let mounted = other.mount(&descriptor, one.name(), None).await;
    assert_eq!(mounted.expect("mounted"), PushOutcome::Mounted);
    assert_eq!(registry.used(), 5);

    // Of another length, and of the length but with other bytes.
    for wrong in ["hell", "jello"] {
        let (wanted, _) = blob("world");
        one.push(&wanted, wrong.as_bytes().into())
            .await
            .expect_err("wrong");
        assert_eq!(registry.used(), 5);
    }
    let fallback = Some(content.into());
    let third = registry.repository(&name("third")).await.expect("third");
    let pushed = third.mount(&descriptor, &name("absent"), fallback).await;
    assert_eq!(pushed.expect("pushed"), PushOutcome::Pushed);
    assert_eq!(registry.used(), 10);

    third.delete(&descriptor).await.expect("deleted");
    assert_eq!(registry.used(), 5);
    assert_eq!(repositories(&registry).await.expect("names").len(), 2);
}

#[tokio::test]
async fn stored_content_can_be_pushed_to_a_full_repository() {
    let inner = MemoryRepository::new();
    let (descriptor, content) = blob("hello");
    inner
        .push(&descriptor, content.clone().into())
        .await
        .expect("a push");
    let repository = Limit::new(inner, quota(5).with_used(6));
    let pushed = repository.push(&descriptor, content.into()).await;
    assert_eq!(pushed.expect("present"), PushOutcome::Present);
    assert_eq!(repository.used(), 6);
    push_bytes(&repository, MediaType::OCTET_STREAM, "")
        .await
        .expect("nothing fits");
}

#[tokio::test(start_paused = true)]
async fn a_push_in_progress_has_reserved_its_bytes() {
    let repository = Limit::new(slow(), quota(9));
    let (hello, world) = (blob("hello"), blob("world"));
    let mut push = Box::pin(repository.push(&hello.0, hello.1.into()));
    assert!(push.as_mut().now_or_never().is_none());
    assert_eq!(repository.used(), 5);
    let other = repository.push(&world.0, world.1.clone().into()).await;
    assert_eq!(other.expect_err("full").kind(), ErrorKind::StorageFull);
    drop(push);
    assert_eq!(repository.used(), 0);
    repository
        .push(&world.0, world.1.into())
        .await
        .expect("a push");
}

#[tokio::test]
async fn an_upload_counts_what_has_arrived() {
    let repository = Limit::new(MemoryRepository::new(), quota(8));
    let blobs = repository.blobs();
    let mut upload = blobs.start().await.expect("an upload");
    upload.write(0, "hel".into()).await.expect("written");
    assert_eq!(repository.used(), 3);
    upload.write(1, "lo".into()).await.expect_err("elsewhere");
    assert_eq!(repository.used(), 3);
    let error = upload
        .write(3, "lo and more".into())
        .await
        .expect_err("full");
    assert_eq!(error.kind(), ErrorKind::StorageFull);

    let id = upload.id().clone();
    drop(upload);
    assert_eq!(repository.used(), 0);
    let mut upload = blobs.resume(&id).await.expect("resumed");
    assert_eq!(repository.used(), 3);
    upload.write(3, "lo".into()).await.expect("written");
    upload.commit(&blob("hello").0).await.expect("committed");
    assert_eq!(repository.used(), 5);

    for cancel in [true, false] {
        let mut upload = blobs.start().await.expect("an upload");
        upload.write(0, "x".into()).await.expect("written");
        assert_eq!(repository.used(), 6);
        if cancel {
            upload.cancel().await.expect("cancelled");
        } else {
            upload.commit(&blob("y").0).await.expect_err("wrong");
        }
        assert_eq!(repository.used(), 5);
    }
}

#[tokio::test]
async fn a_batch_counts_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let layout = Layout::create(directory.path()).await.expect("a layout");
    let repository = Limit::new(layout, quota(9));
    let batch = repository.batch().expect("a batch");
    push_bytes(&batch, MediaType::OCTET_STREAM, "hello")
        .await
        .expect("a push");
    let over = push_bytes(&batch, MediaType::OCTET_STREAM, "world").await;
    assert_eq!(over.expect_err("full").kind(), ErrorKind::StorageFull);
    batch.commit().await.expect("committed");
    assert_eq!(repository.used(), 5);
}
