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
    let garbage = push_bytes(&source, MediaType::OCTET_STREAM, "garbage")
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

/// Pushes an index of two images that share a layer, of which one says that it has another size or type.
async fn push_contradiction(source: &dyn Repository, layer: &Descriptor, wrong: &Descriptor) {
    let config = crate::artifacts::push_text(source, "config").await;
    let manifest = |layer: &Descriptor| Manifest::new(config.clone(), vec![layer.clone()]);
    let right = crate::artifacts::push_manifest(source, &manifest(layer)).await;
    let wrong = crate::artifacts::push_manifest(source, &manifest(wrong)).await;
    let images = [(&right, "linux/amd64"), (&wrong, "linux/arm64")];
    crate::artifacts::push_index(source, &images, "v1").await;
}

#[tokio::test]
async fn two_sizes_under_one_digest_are_an_error() {
    let layer = crate::artifacts::text("layer");
    let resized = |size| Descriptor::new(layer.media_type().clone(), *layer.digest(), size);
    let as_manifest = resized(7).with_media_type(MediaType::IMAGE_MANIFEST);
    for wrong in [resized(4), resized(6), as_manifest] {
        for concurrency in [1, 6] {
            let source = MemoryRepository::new();
            crate::artifacts::push_text(&source, "layer").await;
            push_contradiction(&source, &layer, &wrong).await;
            // A destination that has the blob does not read it, which would tell as well.
            let destination = Recorder::new(MemoryRepository::new()).with_faults(Faults {
                claims: HashSet::from([*layer.digest()]),
                ..Faults::default()
            });
            let options = CopyOptions::default().with_concurrency(concurrency);
            let error = copy_v1(&source, &destination, &options)
                .await
                .expect_err("a contradiction");
            assert_eq!(error.kind(), ErrorKind::SizeMismatch, "{error:?}");
            assert_eq!(error.subject(), Some(&*layer.digest().to_string()));
        }
    }
}

#[tokio::test]
async fn what_is_an_index_to_one_and_an_image_to_another_is_an_error() {
    let source = MemoryRepository::new();
    let inner = push_two_platforms(&source).await.index;
    let as_image = inner.clone().with_media_type(MediaType::IMAGE_MANIFEST);
    let images = [(&inner, "linux/amd64"), (&as_image, "linux/arm64")];
    crate::artifacts::push_index(&source, &images, "v1").await;
    let error = copy_v1(&source, &MemoryRepository::new(), &CopyOptions::default())
        .await
        .expect_err("a contradiction");
    assert_eq!(error.kind(), ErrorKind::InvalidManifest);
    assert_eq!(error.subject(), Some(&*inner.digest().to_string()));
}
