use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tranship::prelude::*;
use tranship::{Descriptor, Digest, MediaType, Result, Source, referrers, repositories, tags};
use tranship_memory::{MemoryRegistry, MemoryRepository};

use crate::{blob, index_of, name, read, tag};

const TASKS: usize = 300;

/// Content of different sizes, from a few bytes to several batches of hashing.
fn content(number: usize) -> (Descriptor, Bytes) {
    blob(&vec![number as u8; 1 + (number % 7) * 400_000])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hundreds_of_tasks_push_the_same_and_different_content() {
    let registry = MemoryRegistry::new();
    let start = Arc::new(Barrier::new(TASKS));
    let mut tasks: JoinSet<Result<()>> = JoinSet::new();
    for number in 0..TASKS {
        let repository = registry.open(&name(&format!("app{}", number % 5)));
        let start = Arc::clone(&start);
        tasks.spawn(async move {
            let (shared, bytes) = content(number % 10);
            let (index, manifest) = index_of(vec![shared.clone()]);
            let own = tag(&format!("t{number}"));
            start.wait().await;
            repository.push(&shared, bytes.clone().into()).await?;
            let both = [own.clone(), tag("latest")];
            repository
                .push_reference(&index, manifest.into(), &both)
                .await?;
            assert_eq!(repository.resolve(&own.into()).await?, index);
            assert_eq!(read(&repository, &shared).await?, bytes);
            Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("no panic").expect("no error");
    }
    let kept: u64 = (0..10)
        .map(|number| {
            let (shared, _) = content(number);
            shared.size() + index_of(vec![shared]).0.size()
        })
        .sum();
    assert_eq!(registry.stored_bytes(), kept);
    assert_eq!(repositories(&registry).await.expect("a catalog").len(), 5);
    let of_one = tags(&registry.open(&name("app0"))).await.expect("tags");
    assert_eq!(of_one.len(), 1 + TASKS / 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn content_that_comes_and_goes_from_many_tasks_is_whole_or_absent() {
    let registry = MemoryRegistry::new();
    let (shared, bytes) = blob(&[9; 70_000]);
    let mut tasks: JoinSet<Result<()>> = JoinSet::new();
    for number in 0..TASKS {
        let registry = registry.clone();
        let (shared, bytes) = (shared.clone(), bytes.clone());
        tasks.spawn(async move {
            for round in 0..10 {
                // A handle of its own each time, so that repositories vanish and come back too.
                let repository = registry.open(&name(&format!("app{}", (number + round) % 3)));
                repository.push(&shared, bytes.clone().into()).await?;
                if let Ok(read) = read(&repository, &shared).await {
                    assert_eq!(read, bytes);
                }
                let other = registry.open(&name("mounted"));
                let fallback = Source::from(bytes.clone());
                other
                    .mount(&shared, repository.name(), Some(fallback))
                    .await?;
                for repository in [repository, other] {
                    match repository.delete(&shared).await {
                        Err(error) if !error.is_not_found() => return Err(error),
                        _ => {}
                    }
                }
            }
            Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("no panic").expect("no error");
    }
    assert_eq!(registry.stored_bytes(), 0);
    assert_eq!(repositories(&registry).await.expect("a catalog"), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_referrer_is_lost_among_many() {
    let repository = MemoryRepository::new();
    let subject = Descriptor::new(MediaType::IMAGE_MANIFEST, Digest::of(b"absent"), 6);
    let mut tasks: JoinSet<Result<()>> = JoinSet::new();
    for number in 0..1200 {
        let repository = repository.clone();
        let subject = subject.clone();
        tasks.spawn(async move {
            let manifest = serde_json::json!({
                "schemaVersion": 2,
                "artifactType": "application/x-signature",
                "manifests": [],
                "subject": subject,
                "annotations": { "number": number.to_string() },
            });
            let content = Bytes::from(manifest.to_string());
            let index = Descriptor::of(MediaType::IMAGE_INDEX, &content);
            repository.push(&index, content.into()).await?;
            if number % 3 == 0 {
                repository.delete(&index).await?;
            }
            Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("no panic").expect("no error");
    }
    let listed = referrers(&repository, &subject, None)
        .await
        .expect("a list");
    assert_eq!(listed.len(), 800);
    assert!(listed.is_sorted_by(|a, b| a.digest() < b.digest()));
    assert!(
        listed
            .iter()
            .all(|referrer| referrer.artifact_type().is_some())
    );
    let other = MediaType::from_static("application/x-other");
    let listed = referrers(&repository, &subject, Some(&other)).await;
    assert_eq!(listed.expect("a list"), []);
}

#[test]
fn no_runtime_is_needed() {
    let repository = MemoryRepository::new();
    let (descriptor, content) = blob(&vec![4; 3_000_000]);
    repository
        .push(&descriptor, content.into())
        .now_or_never()
        .expect("nothing to wait for")
        .expect("push");
    let exists = repository.exists(&descriptor).now_or_never();
    assert!(exists.expect("nothing to wait for").expect("a look"));
}
