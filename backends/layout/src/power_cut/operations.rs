//! The operations of one process on a layout that tranship has written.

use std::time::Duration;

use bytes::Bytes;
use tranship::prelude::*;
use tranship::{Descriptor, MediaType, Repository};

use super::checks::Fact;
use super::stage::{Image, Stage, copy, relaxed, tag};
use crate::{GcOptions, Layout, LayoutOptions, LayoutRegistry};

fn untagged(name: &str) -> Fact {
    Fact::Untagged(tag(name))
}

#[tokio::test]
async fn a_copy_of_few_files_is_durable() {
    let stage = Stage::new();
    let image = Image::new("few", 2);
    let source = stage.source(&image, "v1").await;
    let copied = copy(&source, &stage.layout().await, "v1").await;
    copied.expect("copied");
    stage.promise(image.tagged("v1"));
    stage.check().await;
}

#[tokio::test]
async fn a_copy_of_many_files_is_durable() {
    let stage = Stage::new();
    let image = Image::new("many", 20);
    let source = stage.source(&image, "v1").await;
    let copied = copy(&source, &stage.layout().await, "v1").await;
    copied.expect("copied");
    stage.promise(image.tagged("v1"));
    stage.check().await;
}

#[tokio::test]
async fn a_copy_of_large_layers_is_durable() {
    let stage = Stage::new();
    let layers = vec![Bytes::from("small"), Bytes::from(vec![1; 140_000])];
    let image = Image::with_layers("large", layers);
    let source = stage.source(&image, "v1").await;
    let copied = copy(&source, &stage.layout().await, "v1").await;
    copied.expect("copied");
    stage.promise(image.tagged("v1"));
    stage.check().await;
}

#[tokio::test]
async fn a_copy_keeps_what_was_there_before() {
    let (old, new) = (Image::new("old", 1), Image::new("new", 1));
    let stage = Stage::with(&[(&old, "v1")]).await;
    stage.promise(old.tagged("v1"));
    let source = stage.source(&new, "v2").await;
    let copied = copy(&source, &stage.layout().await, "v2").await;
    copied.expect("copied");
    stage.promise([old.tagged("v1"), new.tagged("v2")].concat());
    stage.check().await;
}

#[tokio::test]
async fn single_pushes_are_durable_one_by_one() {
    let stage = Stage::new();
    let layers = vec![Bytes::from("small"), Bytes::from(vec![1; 200_000])];
    let image = Image::with_layers("single", layers);
    let layout = stage.layout().await;
    for (part, content) in &image.parts {
        let pushed = layout.push(part, content.clone().into()).await;
        pushed.expect("pushed");
        stage.recorder.promise_more([Fact::Holds(part.clone())]);
    }
    let (manifest, content) = &image.manifest;
    let pushed = layout
        .push_reference(manifest, content.clone().into(), &[tag("v1")])
        .await;
    pushed.expect("pushed");
    stage.promise(image.tagged("v1"));
    stage.check().await;
}

#[tokio::test]
async fn a_batch_is_durable_when_it_is_committed() {
    let stage = Stage::new();
    let image = Image::new("batch", 3);
    let layout = stage.layout().await;
    image
        .push_together(&layout, &[tag("v1"), tag("v2")])
        .await
        .expect("committed");
    stage.promise([image.tagged("v1"), image.tagged("v2")].concat());
    stage.check().await;
}

#[tokio::test]
async fn a_tag_is_durable() {
    let (one, two) = (Image::new("one", 1), Image::new("two", 1));
    let stage = Stage::with(&[(&one, "v1"), (&two, "v2")]).await;
    let kept = [one.held(), two.tagged("v2")].concat();
    stage.promise(kept.clone());
    let tagged = stage.layout().await.tag(two.descriptor(), &tag("v1")).await;
    tagged.expect("tagged");
    stage.promise([kept, two.tagged("v1")].concat());
    stage.check().await;
}

#[tokio::test]
async fn an_untag_is_durable() {
    let (one, two) = (Image::new("one", 1), Image::new("two", 1));
    let stage = Stage::with(&[(&one, "v1"), (&two, "v2")]).await;
    let kept = [one.held(), two.tagged("v2")].concat();
    stage.promise(kept.clone());
    let untagged_now = stage.layout().await.untag(&tag("v1")).await;
    untagged_now.expect("untagged");
    stage.promise([kept, vec![untagged("v1")]].concat());
    stage.check().await;
}

#[tokio::test]
async fn a_delete_is_durable() {
    let (one, two) = (Image::new("one", 1), Image::new("two", 1));
    let stage = Stage::with(&[(&one, "v1"), (&two, "v2")]).await;
    stage.promise(two.tagged("v2"));
    let layout = stage.layout().await;
    let deleted = layout.delete(one.descriptor()).await;
    deleted.expect("deleted");
    let mut gone = vec![untagged("v1"), Fact::Lacks(one.descriptor().clone())];
    stage.promise([two.tagged("v2"), gone.clone()].concat());
    for (part, _) in &one.parts {
        let deleted = layout.blobs().delete(part).await;
        deleted.expect("deleted");
        gone.push(Fact::Lacks(part.clone()));
        stage.promise([two.tagged("v2"), gone.clone()].concat());
    }
    stage.check().await;
}

fn no_grace() -> GcOptions {
    GcOptions::default().with_grace(Duration::ZERO)
}

#[tokio::test]
async fn a_garbage_collection_removes_nothing_that_is_needed() {
    let (kept, lost) = (Image::new("kept", 1), Image::new("lost", 2));
    let stage = Stage::with(&[(&kept, "v1"), (&lost, "v2")]).await;
    stage.promise(kept.tagged("v1"));
    let layout = stage.layout().await;
    layout.delete(lost.descriptor()).await.expect("deleted");
    let report = layout.collect_garbage(&no_grace()).await;
    assert_eq!(report.expect("collected").removed.len(), 3);
    let gone = lost.contents().map(|(part, _)| Fact::Lacks(part.clone()));
    stage.promise(kept.tagged("v1").into_iter().chain(gone));
    stage.check().await;
}

#[tokio::test]
async fn untagged_manifests_leave_the_index_before_they_are_removed() {
    let (kept, lost) = (Image::new("kept", 1), Image::new("lost", 2));
    let stage = Stage::with(&[(&kept, "v1"), (&lost, "v2")]).await;
    stage.promise(kept.tagged("v1"));
    let layout = stage.layout().await;
    layout.untag(&tag("v2")).await.expect("untagged");
    let options = no_grace().with_untagged_older_than(Some(Duration::ZERO));
    let report = layout.collect_garbage(&options).await;
    assert_eq!(report.expect("collected").removed.len(), 4);
    stage.check().await;
}

#[tokio::test]
async fn an_upload_is_durable_when_it_is_committed() {
    let stage = Stage::new();
    let content = Bytes::from(vec![7; 5_000]);
    let target = Descriptor::of(MediaType::OCTET_STREAM, &content);
    let id = {
        let layout = stage.layout().await;
        let uploader = layout.blobs();
        let mut upload = uploader.start().await.expect("started");
        let written = upload.write(0, content.slice(..2_000)).await;
        written.expect("written");
        upload.id().clone()
    };
    let layout = stage.layout().await;
    let uploader = layout.blobs();
    let mut upload = uploader.resume(&id).await.expect("resumed");
    assert_eq!(upload.offset(), 2_000);
    let written = upload.write(2_000, content.slice(2_000..)).await;
    written.expect("written");
    upload.commit(&target).await.expect("committed");
    stage.promise([Fact::Holds(target)]);
    stage.check().await;
}

#[tokio::test]
async fn an_upload_in_a_batch_is_durable_with_the_batch() {
    let stage = Stage::new();
    let layout = stage.layout().await;
    let batch = layout.batch().expect("a batch");
    let content = Bytes::from(vec![7; 5_000]);
    let target = Descriptor::of(MediaType::OCTET_STREAM, &content);
    let mut upload = batch.blobs().start().await.expect("started");
    upload.write(0, content).await.expect("written");
    upload.commit(&target).await.expect("committed");
    batch.commit().await.expect("committed");
    stage.promise([Fact::Holds(target)]);
    stage.check().await;
}

#[tokio::test]
async fn a_mount_is_durable() {
    let stage = Stage::new();
    let image = Image::new("mounted", 1);
    let registry = LayoutRegistry::create(stage.root()).await;
    let registry = registry.expect("a registry");
    let repository = async |name: &str| {
        let name = name.parse().expect("a name");
        registry.repository(&name).await.expect("a repository")
    };
    let (from, to) = (repository("from").await, repository("parent/app").await);
    image.push(&*from, &[]).await.expect("pushed");
    let mounter = to.blobs();
    for (part, _) in &image.parts {
        let mounted = mounter.mount(part, from.name(), None).await;
        mounted.expect("mounted");
        stage.recorder.promise_more([Fact::Holds(part.clone())]);
    }
    copy_manifest(&image, &*to).await;
    stage.promise(image.tagged("v1"));
    stage.check().await;
}

async fn copy_manifest(image: &Image, to: &dyn Repository) {
    let (manifest, content) = &image.manifest;
    to.push_reference(manifest, content.clone().into(), &[tag("v1")])
        .await
        .expect("pushed");
}

#[tokio::test]
async fn what_is_repaired_is_durable() {
    let image = Image::new("torn", 2);
    let stage = Stage::with(&[(&image, "v1")]).await;
    let source = stage.source(&image, "v1").await;
    let (layer, _) = &image.parts[1];
    let blobs = stage.path().join("blobs/sha256");
    for path in [
        blobs.join(layer.digest().hex()),
        stage.path().join("oci-layout"),
    ] {
        std::fs::remove_file(&path).expect("removed");
        std::fs::write(&path, "").expect("written");
    }
    let layout = Layout::open_unchecked(stage.path(), LayoutOptions::default()).await;
    let report = layout
        .expect("a path")
        .repair(&source, &crate::FsckOptions::default())
        .await;
    assert!(report.expect("repaired").sound);
    stage.promise(image.tagged("v1"));
    stage.check_now().await;
}

#[tokio::test]
async fn nothing_is_synced_where_that_is_not_asked_for() {
    let stage = Stage::new();
    let (one, two) = (Image::new("one", 2), Image::new("two", 20));
    let layout = relaxed(&stage.path()).await;
    one.push(&layout, &[tag("v1")]).await.expect("pushed");
    two.push_together(&layout, &[tag("v2")])
        .await
        .expect("pushed");
    layout.untag(&tag("v1")).await.expect("untagged");
    layout
        .collect_garbage(&no_grace())
        .await
        .expect("collected");
    assert_eq!(stage.recorder.syncs(), 0);
    // A process with full durability that relies on it makes it durable.
    let tagged = stage.layout().await.tag(two.descriptor(), &tag("v3")).await;
    tagged.expect("tagged");
    stage.promise(two.tagged("v3"));
    stage.check_now().await;
}

#[tokio::test]
async fn a_second_process_need_not_sync_what_a_first_one_has() {
    let stage = Stage::new();
    let image = Image::new("noted", 20);
    let source = stage.source(&image, "v1").await;
    copy(&source, &stage.layout().await, "v1")
        .await
        .expect("copied");
    let (before, before_all) = (stage.recorder.syncs(), stage.recorder.file_system_syncs());
    copy(&source, &stage.layout().await, "v1")
        .await
        .expect("copied");
    assert_eq!(stage.recorder.syncs(), before);
    let tagged = stage
        .layout()
        .await
        .tag(image.descriptor(), &tag("v2"))
        .await;
    tagged.expect("tagged");
    // The new index, and its name.
    assert_eq!(stage.recorder.syncs(), before + 2);
    let (manifest, content) = &image.manifest;
    let layout = stage.layout().await;
    let pushed = layout
        .push_reference(manifest, content.clone().into(), &[tag("v3")])
        .await;
    pushed.expect("pushed");
    assert_eq!(stage.recorder.syncs(), before + 4);
    assert_eq!(stage.recorder.file_system_syncs(), before_all);
    stage.promise([image.tagged("v1"), image.tagged("v3")].concat());
    stage.check_now().await;
}

#[tokio::test]
async fn a_manifest_takes_four_syncs_after_its_blobs() {
    let stage = Stage::new();
    let layout = stage.layout().await;
    let image = Image::new("pushed", 3);
    for (part, content) in &image.parts {
        let pushed = layout.push(part, content.clone().into()).await;
        pushed.expect("pushed");
    }
    let before = stage.recorder.syncs();
    // As the server stores it.
    let batch = layout.batch().expect("a batch");
    for (part, _) in &image.parts {
        assert!(batch.exists(part).await.expect("asked"));
    }
    copy_manifest(&image, &batch).await;
    batch.commit().await.expect("committed");
    // The manifest and its name, the index and its name.
    assert_eq!(stage.recorder.syncs(), before + 4);
    stage.promise(image.tagged("v1"));
    stage.check_now().await;
}
