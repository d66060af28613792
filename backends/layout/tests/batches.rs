//! Batches: changes that wait for their commit, and what they go on being there.

mod support;

use std::sync::Arc;

use bytes::Bytes;
use tranship::prelude::*;
use tranship::{Descriptor, ErrorKind, PushOutcome, Repository, TagOrDigest};
use tranship_layout::{Layout, LayoutRegistry};

use support::{blob, blob_path, directory, manifest, noise, tag};

async fn layout(directory: &tempfile::TempDir) -> Layout {
    Layout::create(directory.path().join("app"))
        .await
        .expect("a layout")
}

async fn push(batch: &dyn Repository, (target, content): &(Descriptor, Bytes), name: &str) {
    batch
        .push_reference(target, content.clone().into(), &[tag(name)])
        .await
        .expect("pushed");
}

fn named(text: &str) -> TagOrDigest {
    tag(text).into()
}

#[tokio::test]
async fn a_batch_shows_its_own_tags_and_nobody_elses_view_does_before_the_commit() {
    let directory = directory();
    let layout = layout(&directory).await;
    let image = manifest("one");

    let batch = layout.batch().expect("layouts have batches");
    push(&batch, &image, "v1").await;
    let seen = batch.resolve(&named("v1")).await;
    assert_eq!(seen.expect("in the batch"), image.0);
    assert!(layout.resolve(&named("v1")).await.is_err());

    batch.commit().await.expect("committed");
    assert_eq!(layout.resolve(&named("v1")).await.expect("there"), image.0);
}

#[tokio::test]
async fn a_dropped_batch_has_set_no_tag() {
    let directory = directory();
    let layout = layout(&directory).await;
    let batch = layout.batch().expect("a batch");
    push(&batch, &manifest("one"), "v1").await;
    drop(batch);
    assert!(tranship::tags(&layout).await.expect("listed").is_empty());
}

#[tokio::test]
async fn what_others_tag_meanwhile_is_kept() {
    let directory = directory();
    let layout = layout(&directory).await;
    let (one, two) = (manifest("one"), manifest("two"));

    let batch = layout.batch().expect("a batch");
    push(&batch, &one, "v1").await;
    support::push(&layout, &two, &["v2"]).await;
    batch.commit().await.expect("committed");

    let tags = tranship::tags(&layout).await.expect("listed");
    assert_eq!(tags, [tag("v1"), tag("v2")]);
}

#[tokio::test]
async fn a_batch_fails_if_a_blob_that_it_found_is_removed() {
    let directory = directory();
    let layout = layout(&directory).await;
    let content = noise(1000);
    let layer = support::push_blob(&layout, &content).await;

    let batch = layout.batch().expect("a batch");
    assert!(batch.exists(&layer).await.expect("asked"));
    push(&batch, &manifest("one"), "v1").await;
    layout.blobs().delete(&layer).await.expect("deleted");
    let error = batch.commit().await.expect_err("the blob is gone");

    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.is_retryable());
    assert!(layout.resolve(&named("v1")).await.is_err());
}

#[tokio::test]
async fn a_batch_fails_alone() {
    let directory = directory();
    let layout = layout(&directory).await;
    let (one, two) = (manifest("one"), manifest("two"));
    let layer = support::push_blob(&layout, &noise(1000)).await;

    let doomed = layout.batch().expect("a batch");
    assert!(doomed.exists(&layer).await.expect("asked"));
    push(&doomed, &one, "v1").await;
    let sound = layout.batch().expect("a batch");
    push(&sound, &two, "v2").await;
    layout.blobs().delete(&layer).await.expect("deleted");

    let (doomed, sound) = futures_util::future::join(doomed.commit(), sound.commit()).await;
    assert!(doomed.is_err());
    sound.expect("committed");
    assert_eq!(tranship::tags(&layout).await.expect("listed"), [tag("v2")]);
}

#[tokio::test]
async fn a_batch_can_only_add() {
    let directory = directory();
    let layout = layout(&directory).await;
    let image = manifest("one");
    support::push(&layout, &image, &["v1"]).await;
    let layer = support::push_blob(&layout, &noise(10)).await;

    let batch = layout.batch().expect("a batch");
    let repository = &batch;
    let refused = [
        repository.untag(&tag("v1")).await,
        repository.delete(&image.0).await,
        repository.delete(&layer).await,
    ];
    for outcome in refused {
        assert_eq!(outcome.expect_err("refused").kind(), ErrorKind::Unsupported);
    }
    assert!(repository.batch().is_none());
}

#[tokio::test]
async fn a_batch_without_manifests_stores_its_blobs() {
    let directory = directory();
    let layout = layout(&directory).await;
    let content = Bytes::from_static(b"alone");
    let target: Descriptor = blob(&content);

    let batch = layout.batch().expect("a batch");
    batch.push(&target, content.into()).await.expect("pushed");
    batch.commit().await.expect("committed");

    let again = Layout::open(directory.path().join("app")).await;
    let again = again.expect("a layout");
    assert!(again.blobs().exists(&target).await.expect("asked"));
}

#[tokio::test]
async fn many_manifests_of_a_batch_write_the_index_once() {
    let directory = directory();
    let layout = layout(&directory).await;
    support::push(&layout, &manifest("first"), &["v0"]).await;
    let index = directory.path().join("app/index.json");
    let before = std::fs::read(&index).expect("an index");

    let batch = layout.batch().expect("a batch");
    for number in 0..50 {
        push(
            &batch,
            &manifest(&number.to_string()),
            &format!("t{number}"),
        )
        .await;
        assert_eq!(std::fs::read(&index).expect("an index"), before);
    }
    batch.commit().await.expect("committed");
    assert_eq!(tranship::tags(&layout).await.expect("listed").len(), 51);
}

#[tokio::test]
async fn large_blobs_stay_when_a_batch_is_dropped() {
    let directory = directory();
    let layout = layout(&directory).await;
    let content = noise(16 * 1024 * 1024);
    let target = blob(&content);
    let batch = layout.batch().expect("a batch");
    let pushed = batch.push(&target, content.into()).await;
    pushed.expect("pushed");
    drop(batch);
    assert!(layout.blobs().exists(&target).await.expect("asked"));
    assert!(support::leftovers(&directory.path().join("app")).is_empty());
}

#[tokio::test]
async fn a_dropped_batch_leaves_no_temporary_files() {
    let directory = directory();
    let layout = layout(&directory).await;
    let batch = layout.batch().expect("a batch");
    push(&batch, &manifest("one"), "v1").await;
    assert!(!support::leftovers(&directory.path().join("app")).is_empty());
    drop(batch);
    assert!(support::leftovers(&directory.path().join("app")).is_empty());
}

/// A directory of layouts, and a blob in the one that is called `from`.
async fn registry(directory: &tempfile::TempDir) -> (LayoutRegistry, Descriptor) {
    let registry = LayoutRegistry::create(directory.path()).await;
    let registry = registry.expect("a registry");
    let from = registry.layout(&"from".parse().expect("a name")).await;
    let blob = support::push_blob(&from.expect("a layout"), &noise(300_000)).await;
    (registry, blob)
}

async fn target(registry: &LayoutRegistry) -> Arc<dyn Repository> {
    let name = "target".parse().expect("a name");
    registry.repository(&name).await.expect("a repository")
}

async fn mount(batch: &dyn Repository, blob: &Descriptor) {
    let from = "from".parse().expect("a name");
    let outcome = batch.mount(blob, &from, None).await.expect("mounted");
    assert_eq!(outcome, PushOutcome::Mounted);
}

#[cfg(unix)]
#[tokio::test]
async fn a_blob_that_is_mounted_in_a_batch_is_not_copied() {
    use std::os::unix::fs::MetadataExt as _;

    let directory = directory();
    let (registry, blob) = registry(&directory).await;
    let target = target(&registry).await;

    let batch = target.batch().expect("a batch");
    mount(&batch, &blob).await;
    batch.commit().await.expect("committed");

    assert!(target.blobs().exists(&blob).await.expect("asked"));
    let [from, to] = ["from", "target"].map(|name| {
        let path = blob_path(&directory.path().join(name), blob.digest());
        std::fs::metadata(path).expect("a blob")
    });
    // A file system that clones files has two that share their content.
    assert!(from.nlink() == 1 || from.ino() == to.ino());
}

#[tokio::test]
async fn a_batch_fails_if_a_mounted_blob_that_was_there_is_removed() {
    let directory = directory();
    let (registry, blob) = registry(&directory).await;
    let target = target(&registry).await;
    let here = registry.layout(target.name()).await.expect("a layout");
    support::push_blob(&here, &noise(300_000)).await;

    let batch = target.batch().expect("a batch");
    mount(&batch, &blob).await;
    push(&batch, &manifest("one"), "v1").await;
    target.blobs().delete(&blob).await.expect("deleted");
    let error = batch.commit().await.expect_err("the blob is gone");

    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(target.resolve(&named("v1")).await.is_err());
}

#[tokio::test]
async fn a_batch_mounts_from_many_layouts_in_turn() {
    let directory = directory();
    let registry = LayoutRegistry::create(directory.path()).await;
    let registry = registry.expect("a registry");
    let mut blobs = Vec::new();
    for round in 0..2 {
        for number in 0..5 {
            let name = format!("from/{number}").parse().expect("a name");
            let from = registry.layout(&name).await.expect("a layout");
            let content = noise(1000 + 10 * round + number);
            blobs.push((support::push_blob(&from, &content).await, name));
        }
    }
    let target = target(&registry).await;

    let batch = target.batch().expect("a batch");
    for (blob, from) in &blobs {
        let outcome = batch.mount(blob, from, None).await.expect("mounted");
        assert_eq!(outcome, PushOutcome::Mounted);
    }
    batch.commit().await.expect("committed");

    for (blob, _) in &blobs {
        let content = target.blobs().fetch(blob).await.expect("there");
        content.bytes(10_000).await.expect("whole");
    }
}

#[tokio::test]
async fn a_mounted_blob_of_a_batch_outlives_its_source() {
    let directory = directory();
    let (registry, blob) = registry(&directory).await;
    let target = target(&registry).await;

    let batch = target.batch().expect("a batch");
    mount(&batch, &blob).await;
    let from = registry.repository(&"from".parse().expect("a name")).await;
    let from = from.expect("a repository");
    from.blobs().delete(&blob).await.expect("deleted");
    push(&batch, &manifest("one"), "v1").await;
    batch.commit().await.expect("committed");

    let content = target.blobs().fetch(&blob).await.expect("there");
    content.bytes(1_000_000).await.expect("whole");
}

#[tokio::test]
async fn a_batch_pushes_what_cannot_be_mounted() {
    let directory = directory();
    let (registry, _) = registry(&directory).await;
    let target = target(&registry).await;
    let content = noise(500);
    let missing = blob(&content);
    let from = "from".parse().expect("a name");

    let batch = target.batch().expect("a batch");
    let refused = batch.mount(&missing, &from, None).await;
    assert!(refused.expect_err("it is not there").is_not_found());
    let pushed = batch.mount(&missing, &from, Some(content.into())).await;
    assert_eq!(pushed.expect("pushed"), PushOutcome::Pushed);
    batch.commit().await.expect("committed");

    assert!(target.blobs().exists(&missing).await.expect("asked"));
}
