use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::time::Instant;
use tranship::layers::{Inject, InjectOptions, OperationName};
use tranship::prelude::*;
use tranship::{Error, ErrorKind, ListOptions, MediaType, push_bytes, tags};
use tranship_layout::Layout;
use tranship_memory::{MemoryRegistry, MemoryRepository};

use crate::{blob, name};

#[tokio::test(start_paused = true)]
async fn each_call_waits_for_the_latency() {
    let latency = Duration::from_secs(3);
    let options = InjectOptions::default().with_latency(latency);
    let repository = Inject::new(MemoryRepository::new(), options);
    let start = Instant::now();
    let (descriptor, content) = blob("x");
    repository
        .push(&descriptor, content.into())
        .await
        .expect("a push");
    assert_eq!(start.elapsed(), latency);
    assert!(repository.exists(&descriptor).await.expect("found"));
    assert_eq!(start.elapsed(), 2 * latency);
    tags(&repository).await.expect("tags");
    assert_eq!(start.elapsed(), 3 * latency);
}

#[tokio::test]
async fn a_rule_sees_what_is_called_on_what() {
    let (descriptor, content) = blob("x");
    let digest = *descriptor.digest();
    let options = InjectOptions::default().with_errors(move |operation| {
        let refused = operation.name == OperationName::Read
            && operation.repository == Some(name("some/name"))
            && operation.digest == Some(digest);
        refused.then(|| Error::new(ErrorKind::Denied, "no"))
    });
    let registry = Inject::new(MemoryRegistry::new(), options);
    let other = registry.repository(&name("other")).await.expect("other");
    let named = registry
        .repository(&name("some/name"))
        .await
        .expect("named");
    for repository in [&other, &named] {
        repository
            .push(&descriptor, content.clone().into())
            .await
            .expect("a push");
    }
    let _ = other.fetch(&descriptor).await.expect("a read");
    let error = named.fetch(&descriptor).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(error.operation(), Some("fetch"));
}

#[tokio::test]
async fn only_the_nth_call_fails() {
    let options =
        InjectOptions::default().with_failing_call(OperationName::ListTags, 2, ErrorKind::Timeout);
    let repository = Inject::new(MemoryRepository::new(), options);
    for expected in [None, Some(ErrorKind::Timeout), None] {
        let listed = repository.tags(ListOptions::default());
        let listed = listed.try_collect::<Vec<_>>().await;
        assert_eq!(listed.err().map(|error| error.kind()), expected);
    }
}

/// Makes 1000 calls, and returns the numbers of those that failed.
async fn failures(rate: f64, seed: u64) -> Vec<usize> {
    let options = InjectOptions::default().with_failure_rate(rate, seed, ErrorKind::Unavailable);
    let repository = Inject::new(MemoryRepository::new(), options);
    let (descriptor, _) = blob("x");
    let mut failed = Vec::new();
    for call in 0..1000 {
        if repository.exists(&descriptor).await.is_err() {
            failed.push(call);
        }
    }
    failed
}

#[tokio::test]
async fn the_seed_decides_which_calls_fail() {
    assert_eq!(failures(0.0, 1).await.len(), 0);
    assert_eq!(failures(1.0, 1).await.len(), 1000);
    let failed = failures(0.1, 1).await;
    assert!((50..150).contains(&failed.len()), "{}", failed.len());
    assert_eq!(failures(0.1, 1).await, failed);
    assert_ne!(failures(0.1, 2).await, failed);
}

#[tokio::test]
async fn content_breaks_after_so_many_bytes() {
    let options = InjectOptions::default().with_cuts(|_| Some(4));
    let repository = Inject::new(MemoryRepository::new(), options);
    let (descriptor, content) = blob("hello");
    repository
        .push(&descriptor, content.into())
        .await
        .expect("a push");

    let mut stream = repository
        .fetch(&descriptor)
        .await
        .expect("opened")
        .into_stream();
    assert_eq!(
        stream.try_next().await.expect("a piece").as_deref(),
        Some(&b"hell"[..])
    );
    let error = stream.try_next().await.expect_err("broken");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable());

    let rest = repository
        .fetch_range(&descriptor, (1..).into())
        .await
        .expect("opened");
    assert_eq!(rest.bytes(9).await.expect("whole"), "ello");
}

#[tokio::test]
async fn content_that_breaks_is_not_linked_as_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let layout = Layout::create(directory.path()).await.expect("a layout");
    let (descriptor, content) = blob("hello");
    layout
        .push(&descriptor, content.into())
        .await
        .expect("a push");
    for (cut, is_file) in [(0, false), (5, true)] {
        let options = InjectOptions::default().with_cuts(move |_| Some(cut));
        let repository = Inject::new(&layout, options);
        let body = repository
            .fetch(&descriptor)
            .await
            .expect("opened")
            .into_body();
        assert_eq!(body.local_file().is_some(), is_file);
    }
}

#[tokio::test]
async fn calls_of_uploads_and_batches_fail_too() {
    for failing in [
        OperationName::StartUpload,
        OperationName::WriteUpload,
        OperationName::PauseUpload,
        OperationName::CommitUpload,
    ] {
        let options = InjectOptions::default().with_failing_call(failing, 1, ErrorKind::Io);
        let repository = Inject::new(MemoryRepository::new(), options);
        let (descriptor, content) = blob("x");
        let uploaded = async {
            let mut upload = repository.blobs().start().await?;
            upload.write(0, content).await?;
            upload.pause().await?;
            upload.commit(&descriptor).await
        };
        assert_eq!(uploaded.await.expect_err("refused").kind(), ErrorKind::Io);
        assert!(!repository.exists(&descriptor).await.expect("found"));
    }

    let directory = tempfile::tempdir().expect("a directory");
    let layout = Layout::create(directory.path()).await.expect("a layout");
    let options =
        InjectOptions::default().with_failing_call(OperationName::CommitBatch, 1, ErrorKind::Io);
    let repository = Inject::new(layout, options);
    let batch = repository.batch().expect("a batch");
    push_bytes(&batch, MediaType::OCTET_STREAM, "x")
        .await
        .expect("a push");
    assert_eq!(
        batch.commit().await.expect_err("refused").kind(),
        ErrorKind::Io
    );
}

#[tokio::test]
async fn a_call_that_fails_does_not_reach_the_backend() {
    let reached = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&reached);
    let below = InjectOptions::default().with_errors(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        None
    });
    let above = InjectOptions::default().with_failure_rate(1.0, 0, ErrorKind::Io);
    let repository = Inject::new(Inject::new(MemoryRepository::new(), below), above);
    push_bytes(&repository, MediaType::OCTET_STREAM, "x")
        .await
        .expect_err("refused");
    assert_eq!(reached.load(Ordering::Relaxed), 0);
}
