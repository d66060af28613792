//! Content from files and into files.

use tranship::*;
use tranship_memory::MemoryRepository;

fn entries(directory: &std::path::Path) -> usize {
    directory.read_dir().expect("a directory").count()
}

#[tokio::test]
async fn the_descriptor_of_a_file_is_that_of_its_bytes() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("layer");
    let content: Vec<u8> = (0..600_000_u32).map(|n| n as u8).collect();
    std::fs::write(&path, &content).expect("written");
    let described = Descriptor::of_file(MediaType::IMAGE_LAYER, &path).await;
    let described = described.expect("hashed");
    assert_eq!(described, Descriptor::of(MediaType::IMAGE_LAYER, &content));
    let repository = MemoryRepository::new();
    let pushed = repository.push(&described, Source::file(&path)).await;
    assert_eq!(pushed.expect("pushed"), PushOutcome::Pushed);
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let described = Descriptor::of_file(MediaType::IMAGE_LAYER, "/nonexistent/layer").await;
    let error = described.expect_err("missing");
    assert!(error.is_not_found());
    assert!(error.to_string().contains("/nonexistent/layer"), "{error}");
}

#[tokio::test]
async fn content_is_written_to_a_file_and_replaces_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("out");
    std::fs::write(&path, "old").expect("written");
    let descriptor = Descriptor::of(MediaType::OCTET_STREAM, b"hello");
    let content = Content::from_bytes(descriptor, "hello".into());
    content.write_to(&path).await.expect("written");
    assert_eq!(std::fs::read(&path).expect("read"), b"hello");
    assert_eq!(entries(directory.path()), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(directory.path().join("plain"), "").expect("written");
        let mode = |name: &str| {
            let metadata = directory.path().join(name).metadata();
            metadata.expect("a file").permissions().mode()
        };
        assert_eq!(mode("out"), mode("plain"));
    }
}

#[tokio::test]
async fn altered_content_leaves_the_file_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("out");
    std::fs::write(&path, "old").expect("written");
    let descriptor = Descriptor::of(MediaType::OCTET_STREAM, b"hello");
    let altered = Content::from_bytes(descriptor, "jello".into());
    let error = altered.write_to(&path).await.expect_err("altered");
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    assert_eq!(std::fs::read(&path).expect("read"), b"old");
    assert_eq!(entries(directory.path()), 1);
}

#[tokio::test]
async fn a_dropped_write_leaves_no_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let descriptor = Descriptor::of(MediaType::OCTET_STREAM, b"hello");
    let body = Body::from_stream(futures_util::stream::pending());
    let writing = Content::new(descriptor, body).write_to(directory.path().join("out"));
    let limit = std::time::Duration::from_millis(50);
    tokio::time::timeout(limit, writing)
        .await
        .expect_err("never ends");
    assert_eq!(entries(directory.path()), 0);
}

#[tokio::test]
async fn small_content_is_read_without_a_limit() {
    let descriptor = Descriptor::of(MediaType::OCTET_STREAM, b"hello");
    let content = Content::from_bytes(descriptor.clone(), "hello".into());
    assert_eq!(content.read().await.expect("read"), "hello");
    let large = Descriptor::new(
        MediaType::OCTET_STREAM,
        *descriptor.digest(),
        MAX_MANIFEST_SIZE + 1,
    );
    let refused = Content::new(large, Body::from_stream(futures_util::stream::pending()));
    let error = refused.read().await.expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit);
}
