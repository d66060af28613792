use std::collections::HashSet;
use std::time::Duration;

use tranship::*;
use tranship_memory::MemoryRepository;

use crate::artifacts::{everything_below, push_two_platforms};
use crate::recorder::{Faults, Recorder};
use crate::{copy_v1, reference, tags};

#[tokio::test]
async fn one_failure_ends_the_copy_at_once_and_is_what_it_fails_with() {
    let inner = MemoryRepository::new();
    let artifact = push_two_platforms(&inner).await;
    // One transfer fails while another would never end.
    let source = Recorder::new(inner).with_faults(Faults {
        unreadable: HashSet::from([Digest::of(b"amd64 only")]),
        stalled: HashSet::from([Digest::of(b"arm64 only")]),
        ..Faults::default()
    });
    let destination = MemoryRepository::new();

    let error = copy_v1(&source, &destination, &CopyOptions::default())
        .await
        .expect_err("unreadable");

    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(
        error.subject(),
        Some(&*Digest::of(b"amd64 only").to_string())
    );
    assert!(!destination.exists(&artifact.index).await.expect("exists"));
    assert_eq!(tranship::tags(&destination).await.expect("tags"), []);
    let stalled = crate::artifacts::text("arm64 only");
    assert!(!destination.exists(&stalled).await.expect("exists"));
}

#[tokio::test]
async fn altered_content_does_not_arrive() {
    let source = MemoryRepository::new();
    let missing = crate::artifacts::text("never pushed");
    let config = crate::artifacts::push_text(&source, "config").await;
    let image = Manifest::new(config, vec![missing.clone()]);
    let image = crate::artifacts::push_manifest(&source, &image).await;
    let destination = MemoryRepository::new();

    let error = copy_graph(&source, &image, &destination, &CopyOptions::default())
        .await
        .expect_err("a layer is missing");

    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.subject(), Some(&*missing.digest().to_string()));
    assert!(!destination.exists(&image).await.expect("exists"));
}

#[tokio::test]
async fn a_copy_that_is_dropped_leaves_no_tag_and_a_later_one_completes_it() {
    let inner = MemoryRepository::new();
    let artifact = push_two_platforms(&inner).await;
    let stalling = Recorder::new(inner.clone()).with_faults(Faults {
        stalled: HashSet::from([Digest::of(b"arm64 only")]),
        ..Faults::default()
    });
    let destination = MemoryRepository::new();
    let (v1, options) = (reference("v1"), CopyOptions::default());
    let v1_tags = tags(&["v1"]);

    let stalled = copy(&stalling, &v1, &destination, &v1_tags, &options);
    tokio::time::timeout(Duration::from_millis(200), stalled)
        .await
        .expect_err("never ends");
    assert_eq!(tranship::tags(&destination).await.expect("tags"), []);

    copy(&inner, &v1, &destination, &v1_tags, &options)
        .await
        .expect("copy");
    for node in everything_below(&inner, &artifact.index).await {
        assert!(destination.exists(&node).await.expect("exists"));
    }
}

#[tokio::test]
async fn a_manifest_over_the_limit_is_not_read() {
    let source = MemoryRepository::new();
    push_two_platforms(&source).await;
    let error = copy(
        &source,
        &reference("v1"),
        &MemoryRepository::new(),
        &[],
        &CopyOptions::default().with_max_manifest_size(1),
    )
    .await
    .expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit);
}

#[tokio::test]
async fn a_tag_that_is_not_there_is_named() {
    let error = copy(
        &MemoryRepository::new(),
        &reference("v9"),
        &MemoryRepository::new(),
        &[],
        &CopyOptions::default(),
    )
    .await
    .expect_err("no such tag");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.subject(), Some("v9"));
}

#[tokio::test]
async fn a_destination_that_is_read_only_says_so_before_anything_is_read() {
    let inner = MemoryRepository::new();
    let artifact = push_two_platforms(&inner).await;
    let source = Recorder::new(inner);
    let destination = Recorder::new(MemoryRepository::new()).with_faults(Faults {
        read_only: true,
        ..Faults::default()
    });
    let error = copy_graph(
        &source,
        &artifact.index,
        &destination,
        &CopyOptions::default(),
    )
    .await
    .expect_err("read-only");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(source.calls(), []);
}

#[tokio::test]
async fn a_manifest_that_is_not_one_is_an_error_of_its_kind() {
    let source = MemoryRepository::new();
    let garbage = push_bytes(&source, MediaType::OCTET_STREAM, b"garbage"[..].into(), &[])
        .await
        .expect("push");
    let disguised = garbage.with_media_type(MediaType::IMAGE_MANIFEST);
    let error = copy_graph(
        &source,
        &disguised,
        &MemoryRepository::new(),
        &CopyOptions::default(),
    )
    .await
    .expect_err("no manifest");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
