use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tranship::prelude::*;
use tranship::{ErrorKind, ListOptions, PushOutcome, repositories};
use tranship_memory::{MemoryRegistry, MemoryRepository};

use crate::{blob, index_of, kind, name, read};

#[tokio::test]
async fn a_mount_is_a_reference_to_the_same_bytes() {
    let registry = MemoryRegistry::new();
    let (from, to) = (registry.open(&name("from")), registry.open(&name("to")));
    let (descriptor, content) = blob(&[7; 100_000]);
    from.push(&descriptor, content.into()).await.expect("push");
    let mounter = to.blobs();
    let outcome = mounter.mount(&descriptor, from.name(), None).await;
    assert_eq!(outcome.expect("mount"), PushOutcome::Mounted);
    assert_eq!(registry.stored_bytes(), 100_000);
    let pushed = read(&from, &descriptor).await.expect("there");
    let mounted = read(&to, &descriptor).await.expect("there");
    assert_eq!(mounted.as_ptr(), pushed.as_ptr());
}

#[tokio::test]
async fn content_is_freed_when_the_last_repository_lets_go() {
    let registry = MemoryRegistry::new();
    let (first, second) = (
        registry.open(&name("first")),
        registry.open(&name("second")),
    );
    let (descriptor, content) = blob(b"shared");
    let (index, manifest) = index_of(vec![]);
    for repository in [&first, &second] {
        repository
            .push(&descriptor, content.clone().into())
            .await
            .expect("push");
        repository
            .push(&index, manifest.clone().into())
            .await
            .expect("push");
    }
    let both = descriptor.size() + index.size();
    first.delete(&descriptor).await.expect("was there");
    first.delete(&index).await.expect("was there");
    assert!(!first.exists(&descriptor).await.expect("a look"));
    assert_eq!(read(&second, &descriptor).await.expect("stays"), "shared");
    assert_eq!(registry.stored_bytes(), both);
    second.delete(&descriptor).await.expect("was there");
    second.delete(&index).await.expect("was there");
    assert_eq!(registry.stored_bytes(), 0);
}

#[tokio::test]
async fn a_digest_alone_gives_nobody_the_content_of_another_repository() {
    let registry = MemoryRegistry::new();
    let (owner, other) = (registry.open(&name("owner")), registry.open(&name("other")));
    let (descriptor, content) = blob(b"secret");
    owner.push(&descriptor, content.into()).await.expect("push");
    let result = other.push(&descriptor, b"guess!"[..].into()).await;
    assert_eq!(kind(result), ErrorKind::DigestMismatch);
    assert!(!other.exists(&descriptor).await.expect("a look"));
}

#[tokio::test]
async fn reads_and_ranges_of_large_content_copy_nothing() {
    let repository = MemoryRepository::new();
    let content = Bytes::from(vec![3; 5_000_000]);
    let (descriptor, _) = blob(&content);
    repository
        .push(&descriptor, content.clone().into())
        .await
        .expect("push");
    let range = (1_000_000..4_000_000).into();
    let part = repository.fetch_range(&descriptor, range).await;
    let chunks: Vec<Bytes> = part
        .expect("in range")
        .into_stream()
        .try_collect()
        .await
        .expect("whole");
    let mut at = 1_000_000;
    for chunk in chunks {
        assert_eq!(chunk.as_ptr(), content[at..].as_ptr());
        at += chunk.len();
    }
    assert_eq!(at, 4_000_000);
}

#[tokio::test]
async fn a_repository_is_listed_while_it_holds_something() {
    let registry = MemoryRegistry::new();
    let (descriptor, content) = blob(b"x");
    for repository in ["b", "a/z", "a"] {
        registry
            .open(&name(repository))
            .push(&descriptor, content.clone().into())
            .await
            .expect("push");
    }
    let asked_for = registry.open(&name("aa"));
    let listed = repositories(&registry).await.expect("a catalog");
    assert_eq!(listed, ["a", "a/z", "b"].map(name));
    let options = ListOptions::default().with_last("a0").with_page_size(1);
    let behind: Vec<_> = registry
        .repositories(options)
        .try_collect()
        .await
        .expect("a catalog");
    assert_eq!(behind, [name("b")]);

    let emptied = registry.open(&name("a/z"));
    emptied.delete(&descriptor).await.expect("was there");
    let listed = repositories(&registry).await.expect("a catalog");
    assert_eq!(listed, ["a", "b"].map(name));
    asked_for
        .push(&descriptor, content.clone().into())
        .await
        .expect("push");
    emptied
        .push(&descriptor, content.into())
        .await
        .expect("push");
    let listed = repositories(&registry).await.expect("a catalog");
    assert_eq!(listed, ["a", "a/z", "aa", "b"].map(name));
}

#[tokio::test]
async fn two_handles_of_one_name_are_one_repository() {
    let registry = MemoryRegistry::new();
    let first = registry.open(&name("a"));
    let second = registry.clone().repository(&name("a")).await.expect("open");
    let (descriptor, content) = blob(b"x");
    drop(registry);
    first.push(&descriptor, content.into()).await.expect("push");
    drop(first);
    assert_eq!(read(&*second, &descriptor).await.expect("there"), "x");
}

#[tokio::test]
async fn no_two_registries_are_the_same() {
    let (one, other) = (MemoryRegistry::new(), MemoryRegistry::new());
    assert_ne!(one.identity(), other.identity());
    assert_eq!(one.identity(), one.clone().identity());
    assert_eq!(one.open(&name("a")).registry(), Some(one.identity()));
    assert_ne!(
        MemoryRepository::new().registry(),
        MemoryRepository::new().registry()
    );
}

#[tokio::test]
async fn blobs_and_manifests_are_apart() {
    let repository = MemoryRepository::new();
    let (index, content) = index_of(vec![]);
    let blobs = repository.blobs();
    blobs
        .push(&index, content.clone().into())
        .await
        .expect("push");
    assert_eq!(kind(read(&repository, &index).await), ErrorKind::NotFound);
    repository.push(&index, content.into()).await.expect("push");
    blobs.delete(&index).await.expect("was there");
    assert!(read(&repository, &index).await.is_ok());
}
