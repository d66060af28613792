use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tranship::prelude::*;
use tranship::{Body, Descriptor, ErrorKind, MediaType, OpenAt, Result, Source};
use tranship_memory::{MemoryOptions, MemoryRegistry};

use crate::{absent, blob, index_of, kind, name, read};

fn registry_of(quota: u64) -> MemoryRegistry {
    MemoryRegistry::with_options(MemoryOptions::default().with_quota(quota))
}

struct Unread;

#[async_trait::async_trait]
impl OpenAt for Unread {
    async fn open_at(&self, _offset: u64) -> Result<Body> {
        panic!("the source must not be opened");
    }
}

#[tokio::test]
async fn content_that_cannot_fit_is_refused_before_its_source_is_opened() {
    let registry = registry_of(10);
    let repository = registry.open(&name("a"));
    let result = repository.push(&absent(11), Source::open_at(&Unread)).await;
    assert_eq!(kind(result), ErrorKind::StorageFull);
    assert_eq!(registry.stored_bytes(), 0);
}

#[tokio::test]
async fn content_of_exactly_the_quota_fits() {
    let registry = registry_of(10);
    let repository = registry.open(&name("a"));
    let (descriptor, content) = blob(b"0123456789");
    repository
        .push(&descriptor, content.into())
        .await
        .expect("fits");
    assert_eq!(registry.stored_bytes(), 10);
    let (more, content) = blob(b"x");
    let result = repository.push(&more, content.into()).await;
    assert_eq!(kind(result), ErrorKind::StorageFull);
    assert_eq!(registry.stored_bytes(), 10);
}

#[tokio::test]
async fn manifests_count_as_blobs_do() {
    let (descriptor, content) = index_of(vec![]);
    let registry = registry_of(descriptor.size() - 1);
    let repository = registry.open(&name("a"));
    let result = repository.push(&descriptor, content.into()).await;
    assert_eq!(kind(result), ErrorKind::StorageFull);
}

#[tokio::test]
async fn deleting_makes_room() {
    let registry = registry_of(10);
    let repository = registry.open(&name("a"));
    let (old, content) = blob(b"0123456789");
    repository.push(&old, content.into()).await.expect("fits");
    repository.delete(&old).await.expect("was there");
    assert_eq!(registry.stored_bytes(), 0);
    let (new, content) = blob(b"9876543210");
    repository.push(&new, content.into()).await.expect("fits");
}

#[tokio::test]
async fn a_reader_keeps_its_content_until_it_is_done() {
    let registry = registry_of(10);
    let repository = registry.open(&name("a"));
    let (descriptor, content) = blob(b"0123456789");
    repository
        .push(&descriptor, content.into())
        .await
        .expect("fits");
    let opened = repository.blobs().fetch(&descriptor).await.expect("there");
    repository.delete(&descriptor).await.expect("was there");
    assert_eq!(registry.stored_bytes(), 10);
    assert_eq!(opened.bytes(10).await.expect("whole"), "0123456789");
    assert_eq!(registry.stored_bytes(), 0);
}

#[tokio::test]
async fn what_another_repository_holds_is_pushed_even_when_all_is_full() {
    let registry = registry_of(10);
    let (descriptor, content) = blob(b"0123456789");
    for repository in ["a", "b", "c"] {
        registry
            .open(&name(repository))
            .push(&descriptor, content.clone().into())
            .await
            .expect("takes no more room");
    }
    assert_eq!(registry.stored_bytes(), 10);
}

#[tokio::test]
async fn a_push_with_wrong_content_leaves_nothing() {
    let registry = registry_of(1 << 30);
    let repository = registry.open(&name("a"));
    for size in [100, 100_000, 3_000_000] {
        let good = vec![1; size];
        let (descriptor, _) = blob(&good);
        let (shorter, longer) = (vec![1; size - 1], vec![1; size + 1]);
        let mut altered = good;
        altered[size - 1] = 2;
        for (content, expected) in [
            (altered, ErrorKind::DigestMismatch),
            (shorter, ErrorKind::SizeMismatch),
            (longer, ErrorKind::SizeMismatch),
        ] {
            let result = repository.push(&descriptor, content.into()).await;
            assert_eq!(kind(result), expected, "{size}");
            assert!(!repository.exists(&descriptor).await.expect("a look"));
            assert_eq!(registry.stored_bytes(), 0);
        }
    }
}

#[tokio::test]
async fn a_claimed_size_takes_no_memory() {
    let repository = MemoryRegistry::new().open(&name("a"));
    for claimed in [1 << 62, Descriptor::MAX_SIZE, u64::MAX] {
        let (small, content) = blob(b"small");
        let lie = Descriptor::new(MediaType::OCTET_STREAM, *small.digest(), claimed);
        let result = repository.push(&lie, content.clone().into()).await;
        assert_eq!(kind(result), ErrorKind::SizeMismatch);
        repository
            .push(&small, content.clone().into())
            .await
            .expect("good");
        let result = repository.push(&lie, content.into()).await;
        assert_eq!(kind(result), ErrorKind::SizeMismatch, "it is there already");
        assert_eq!(kind(read(&repository, &lie).await), ErrorKind::SizeMismatch);
        assert_eq!(kind(repository.delete(&lie).await), ErrorKind::NotFound);
        repository.delete(&small).await.expect("was there");
    }
}

#[tokio::test]
async fn a_push_that_is_dropped_gives_its_room_back() {
    let registry = registry_of(1 << 20);
    let repository = registry.open(&name("a"));
    let arrived = Bytes::from(vec![0; 200_000]);
    let body = stream::iter([Ok(arrived)]).chain(stream::pending());
    let descriptor = absent(300_000);
    let mut push = repository.push(&descriptor, Source::once(Body::from_stream(body)));
    assert!((&mut push).now_or_never().is_none());
    assert_eq!(registry.stored_bytes(), 200_000);
    drop(push);
    assert_eq!(registry.stored_bytes(), 0);
    drop(repository);
    assert_eq!(
        tranship::repositories(&registry).await.expect("a catalog"),
        []
    );
}

#[tokio::test]
async fn two_pushes_share_what_is_left() {
    let registry = registry_of(150_000);
    let repository = registry.open(&name("a"));
    let first = Bytes::from(vec![0; 100_000]);
    let body = stream::iter([Ok(first)]).chain(stream::pending());
    let slow = absent(120_000);
    let mut push = repository.push(&slow, Source::once(Body::from_stream(body)));
    assert!((&mut push).now_or_never().is_none());

    let (large, content) = blob(&[1; 60_000]);
    let result = repository.push(&large, content.into()).await;
    assert_eq!(kind(result), ErrorKind::StorageFull);
    let (small, content) = blob(&[1; 50_000]);
    repository.push(&small, content.into()).await.expect("fits");
    drop(push);
    assert_eq!(registry.stored_bytes(), 50_000);
}

#[tokio::test]
async fn a_source_that_fails_leaves_nothing() {
    let registry = registry_of(1 << 20);
    let repository = registry.open(&name("a"));
    let failure = tranship::Error::new(ErrorKind::Timeout, "too slow");
    let body = stream::iter([Ok(Bytes::from(vec![0; 200_000])), Err(failure)]);
    let result = repository
        .push(&absent(300_000), Source::once(Body::from_stream(body)))
        .await;
    assert_eq!(kind(result), ErrorKind::Timeout);
    assert_eq!(registry.stored_bytes(), 0);
}
