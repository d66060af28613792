//! Quotas of repositories.

use std::cell::Cell;
use std::sync::Arc;

use tranship::layers::{RepositoryQuota, RepositoryQuotas};
use tranship::prelude::*;
use tranship::{ErrorKind, PushOutcome, Repository};
use tranship_memory::MemoryRegistry;

use super::{blob, name};

/// A quota of the repositories below `team`.
fn team(limit: u64) -> RepositoryQuotas {
    RepositoryQuotas::new(vec![below("team", limit)])
}

fn below(prefix: &'static str, limit: u64) -> RepositoryQuota {
    RepositoryQuota::new(prefix, limit, move |name| {
        name.as_str().split('/').next() == Some(prefix)
    })
}

async fn open(
    registry: &MemoryRegistry,
    quotas: &RepositoryQuotas,
    text: &str,
) -> Arc<dyn Repository> {
    quotas.around(registry.repository(&name(text)).await.expect("opened"))
}

fn used(quotas: &RepositoryQuotas) -> u64 {
    quotas.usage()[0].used
}

#[tokio::test]
async fn content_of_concurrent_pushes_counts_once() {
    let (registry, quotas) = (MemoryRegistry::new(), team(100));
    let (one, other) = (
        open(&registry, &quotas, "team/app").await,
        open(&registry, &quotas, "team/app").await,
    );
    let (hello, content) = blob("hello");
    let mut uploads = Vec::new();
    for repository in [&one, &other] {
        let mut upload = repository.start_upload().await.expect("started");
        upload.write(0, content.clone()).await.expect("written");
        uploads.push(upload);
    }
    let commits = uploads.into_iter().map(|upload| upload.commit(&hello));
    for committed in futures_util::future::join_all(commits).await {
        committed.expect("committed");
    }
    assert_eq!(used(&quotas), 5);
    one.delete(&hello).await.expect("deleted");
    assert_eq!(used(&quotas), 0);
}

#[tokio::test]
async fn a_blob_counts_in_each_repository_that_has_it() {
    let (registry, quotas) = (MemoryRegistry::new(), team(12));
    let one = open(&registry, &quotas, "team/one").await;
    let other = open(&registry, &quotas, "team/other").await;
    let outside = open(&registry, &quotas, "outside").await;
    let (hello, content) = blob("hello");
    let push = one.push(&hello, content.clone().into()).await;
    assert_eq!(push.expect("pushed"), PushOutcome::Pushed);
    let again = one.push(&hello, content.clone().into()).await;
    assert_eq!(again.expect("present"), PushOutcome::Present);
    assert_eq!(used(&quotas), 5);
    for _ in 0..2 {
        let mounted = other.mount(&hello, one.name(), None).await;
        mounted.expect("mounted");
        assert_eq!(used(&quotas), 10);
    }
    let third = open(&registry, &quotas, "team/third").await;
    let full = third.mount(&hello, one.name(), None).await;
    assert_eq!(full.expect_err("full").kind(), ErrorKind::Denied);
    let error = third.push(&hello, content.clone().into()).await;
    let error = error.expect_err("full").to_string();
    assert!(
        error.contains("quota of team is exceeded: 10 B of 12 B"),
        "{error}"
    );
    outside
        .push(&hello, content.into())
        .await
        .expect("no quota");
    one.delete(&hello).await.expect("deleted");
    assert_eq!(used(&quotas), 5);
    third.mount(&hello, other.name(), None).await.expect("room");
}

#[tokio::test]
async fn an_upload_counts_once_and_only_if_it_is_new() {
    let (registry, quotas) = (MemoryRegistry::new(), team(12));
    let app = open(&registry, &quotas, "team/app").await;
    for _ in 0..2 {
        let mut upload = app.blobs().start().await.expect("an upload");
        upload.write(0, "hello".into()).await.expect("written");
        upload.commit(&blob("hello").0).await.expect("committed");
        assert_eq!(used(&quotas), 5);
    }
}

#[tokio::test]
async fn announced_bytes_are_refused_before_they_arrive() {
    let (registry, quotas) = (MemoryRegistry::new(), team(12));
    let app = open(&registry, &quotas, "team/app").await;
    let mut upload = app.blobs().start().await.expect("an upload");
    let refused = upload.reserve(13).expect_err("too many");
    assert_eq!(refused.kind(), ErrorKind::Denied);
    upload.reserve(10).expect("they fit");
    let mut other = app.blobs().start().await.expect("an upload");
    let refused = other.write(0, "hello".into()).await;
    assert_eq!(refused.expect_err("full").kind(), ErrorKind::Denied);
    upload.write(0, "hel".into()).await.expect("written");
    assert_eq!(used(&quotas), 10);
    upload.pause().await.expect("paused");
    assert_eq!(used(&quotas), 3);
    drop(upload);
    assert_eq!(used(&quotas), 0);
}

#[tokio::test]
async fn resumed_uploads_cannot_exceed_the_quota_together() {
    let (registry, quotas) = (MemoryRegistry::new(), team(9));
    let app = open(&registry, &quotas, "team/app").await;
    let mut ids = Vec::new();
    for content in ["hello", "world"] {
        let mut upload = app.blobs().start().await.expect("an upload");
        upload.write(0, content.into()).await.expect("written");
        ids.push(upload.id().clone());
    }
    let first = app.blobs().resume(&ids[0]).await.expect("resumed");
    first.commit(&blob("hello").0).await.expect("committed");
    let second = app.blobs().resume(&ids[1]).await.expect("resumed");
    let refused = second.commit(&blob("world").0).await;
    assert_eq!(refused.expect_err("full").kind(), ErrorKind::Denied);
    assert_eq!(used(&quotas), 5);
    let ended = app.blobs().resume(&ids[1]).await;
    assert!(ended.err().is_some_and(|error| error.is_not_found()));
}

#[tokio::test]
async fn a_full_quota_refuses_an_upload_at_its_start() {
    let (registry, quotas) = (MemoryRegistry::new(), team(5));
    let app = open(&registry, &quotas, "team/app").await;
    let (hello, content) = blob("hello");
    app.push(&hello, content.into()).await.expect("pushed");
    let refused = app.blobs().start().await.err().expect("full");
    assert_eq!(refused.kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn a_count_corrects_what_is_known() {
    let (registry, quotas) = (MemoryRegistry::new(), team(100));
    let app = open(&registry, &quotas, "team/app").await;
    quotas.set_stored(app.name(), 7);
    assert_eq!(used(&quotas), 7);
    let counted = quotas.count(app.name(), async || Ok(40));
    counted.await.expect("counted");
    assert_eq!(used(&quotas), 40);
    // Each count sees the bytes of a push in the meantime, the first three of which begin another count.
    let counts = Cell::new(0);
    let contents = ["one", "two", "six", "ten"];
    let counted = quotas.count(app.name(), async || {
        let (blob, content) = blob(contents[counts.get()]);
        counts.set(counts.get() + 1);
        app.push(&blob, content.into()).await?;
        Ok(3 * counts.get() as u64)
    });
    counted.await.expect("counted");
    assert_eq!(counts.get(), 3);
    assert_eq!(used(&quotas), 12, "the last push may count twice");
    let failed = quotas.count(app.name(), async || Err(tranship::Error::unsupported("no")));
    failed.await.expect_err("not counted");
    assert_eq!(used(&quotas), 12);
}

#[tokio::test]
async fn new_quotas_begin_with_what_is_stored() {
    let (registry, quotas) = (MemoryRegistry::new(), team(10));
    let app = open(&registry, &quotas, "team/app").await;
    let mut upload = app.blobs().start().await.expect("an upload");
    upload.write(0, "hello".into()).await.expect("written");
    quotas.replace(vec![below("other", 1), below("team", 6)]);
    let usage = quotas.usage();
    assert_eq!((usage[0].used, usage[1].used), (0, 5));
    let refused = upload.write(5, "hello".into()).await;
    assert_eq!(refused.expect_err("full").kind(), ErrorKind::Denied);
    upload.commit(&blob("hello").0).await.expect("committed");
    assert_eq!(quotas.usage()[1].used, 5);
    assert_eq!(quotas.stored(), [(name("team/app"), 5)]);
}
