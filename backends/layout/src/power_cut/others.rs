//! Operations that rely on content which other tools have written without any sync.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tranship::prelude::*;

use super::stage::{Image, Stage, copy, relaxed, tag};
use crate::{GcOptions, Layout, LayoutRegistry};

/// Writes an image and lists it, as a tool does that syncs nothing.
pub(super) fn write(layout: &Path, image: &Image, name: &str) {
    write_blobs(layout, image);
    let marker = layout.join("oci-layout");
    if !marker.exists() {
        std::fs::write(marker, r#"{"imageLayoutVersion":"1.0.0"}"#).expect("written");
    }
    let index = layout.join("index.json");
    let mut document: Value = match std::fs::read(&index) {
        Ok(content) => serde_json::from_slice(&content).expect("json"),
        Err(_) => json!({"schemaVersion": 2, "manifests": []}),
    };
    let manifest = image.descriptor();
    let entries = document["manifests"].as_array_mut().expect("a list");
    entries.push(json!({
        "mediaType": manifest.media_type(),
        "digest": manifest.digest(),
        "size": manifest.size(),
        "annotations": {"org.opencontainers.image.ref.name": name},
    }));
    replace_index(layout, &document);
}

fn replace_index(layout: &Path, document: &Value) {
    let mut new = tempfile::NamedTempFile::new_in(layout).expect("created");
    let content = serde_json::to_vec(document).expect("json");
    new.write_all(&content).expect("written");
    new.persist(layout.join("index.json")).expect("replaced");
}

/// The first half of [`write`].
fn write_blobs(layout: &Path, image: &Image) {
    let blobs = layout.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).expect("created");
    for (part, content) in image.contents() {
        let path = blobs.join(part.digest().hex());
        if !path.exists() {
            std::fs::write(&path, content).expect("written");
        }
    }
}

/// A layout whose index is known to be durable, to which another tool has just added the blobs of an image.
/// Nothing lists them, so that no change of the index makes them durable.
pub(super) async fn added(image: &Image) -> Stage {
    let stage = Stage::new();
    let layout = stage.layout().await;
    let other = Image::new("other", 1);
    other.push(&layout, &[tag("v0")]).await.expect("pushed");
    write_blobs(&stage.path(), image);
    stage
}

/// Empties `index.json`, as if the tool had not written that yet.
pub(super) fn list_nothing(layout: &Path) {
    replace_index(layout, &json!({"schemaVersion": 2, "manifests": []}));
}

/// As [`write`], with read-only blobs, which can be linked.
pub(super) fn write_immutable(layout: &Path, image: &Image, name: &str) {
    write(layout, image, name);
    for entry in std::fs::read_dir(layout.join("blobs/sha256")).expect("listed") {
        let path = entry.expect("an entry").path();
        let mut permissions = path.metadata().expect("a file").permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(path, permissions).expect("set");
    }
}

/// A layout that another tool has just written.
pub(super) fn written(images: &[(&Image, &str)]) -> Stage {
    let stage = Stage::new();
    for (image, name) in images {
        write(&stage.path(), image, name);
    }
    stage
}

#[tokio::test]
async fn a_copy_of_what_is_there_makes_it_durable() {
    for layers in [2, 20] {
        let image = Image::new("there", layers);
        let stage = written(&[(&image, "v1")]);
        let source = stage.source(&image, "v1").await;
        let copied = copy(&source, &stage.layout().await, "v1").await;
        copied.expect("copied");
        stage.promise(image.tagged("v1"));
        stage.check_now().await;
    }
}

#[tokio::test]
async fn a_copy_makes_shared_layers_durable() {
    let there = Image::new("there", 3);
    let mut layers: Vec<_> = there.parts[1..]
        .iter()
        .map(|(_, layer)| layer.clone())
        .collect();
    layers.push(Bytes::from("another layer"));
    let image = Image::with_layers("shares", layers);
    let stage = written(&[(&there, "v1")]);
    let source = stage.source(&image, "v2").await;
    let copied = copy(&source, &stage.layout().await, "v2").await;
    copied.expect("copied");
    stage.promise([there.tagged("v1"), image.tagged("v2")].concat());
    stage.check_now().await;
}

#[tokio::test]
async fn a_copy_makes_blobs_durable_that_nothing_lists() {
    let image = Image::new("unlisted", 3);
    let stage = added(&image).await;
    let source = stage.source(&image, "v1").await;
    let copied = copy(&source, &stage.layout().await, "v1").await;
    copied.expect("copied");
    stage.promise(image.tagged("v1"));
    stage.check_now().await;
}

#[tokio::test]
async fn a_push_of_what_is_there_makes_it_durable() {
    let image = Image::new("there", 2);
    let stage = written(&[(&image, "v1")]);
    let layout = stage.layout().await;
    for (part, content) in &image.parts {
        let pushed = layout.push(part, content.clone().into()).await;
        pushed.expect("pushed");
        stage
            .recorder
            .promise_more([super::checks::Fact::Holds(part.clone())]);
        stage.check_held().await;
    }
}

#[tokio::test]
async fn a_manifest_makes_durable_what_it_refers_to() {
    let image = Image::new("there", 3);
    let stage = added(&image).await;
    let (manifest, content) = &image.manifest;
    let path = stage
        .path()
        .join("blobs/sha256")
        .join(manifest.digest().hex());
    std::fs::remove_file(path).expect("removed");
    let layout = stage.layout().await;
    for (part, _) in &image.parts {
        assert!(layout.blobs().exists(part).await.expect("looked"));
    }
    let pushed = layout
        .push_reference(manifest, content.clone().into(), &[tag("v1")])
        .await;
    pushed.expect("pushed");
    stage.promise(image.tagged("v1"));
    stage.check_now().await;
}

#[tokio::test]
async fn a_push_of_a_manifest_that_is_there_makes_it_durable() {
    let image = Image::new("there", 1);
    let stage = added(&image).await;
    let layout = stage.layout().await;
    let (manifest, content) = &image.manifest;
    let pushed = layout
        .push_reference(manifest, content.clone().into(), &[tag("v1")])
        .await;
    pushed.expect("pushed");
    stage.promise(image.tagged("v1"));
    stage.check_now().await;
}

#[tokio::test]
async fn a_mount_of_what_is_there_makes_it_durable() {
    let image = Image::new("there", 1);
    let stage = Stage::new();
    let registry = LayoutRegistry::create(stage.root()).await;
    let registry = registry.expect("a registry");
    let name = "parent/app".parse().expect("a name");
    let repository = registry.repository(&name).await.expect("a repository");
    write_blobs(&stage.path(), &image);
    let from = "elsewhere".parse().expect("a name");
    let (part, _) = &image.parts[0];
    let mounter = repository.blobs();
    mounter.mount(part, &from, None).await.expect("mounted");
    // Without an index the directory is not a layout yet.
    let (other, content) = &image.parts[1];
    let path = stage.path().join("blobs/sha256").join(other.digest().hex());
    std::fs::remove_file(path).expect("removed");
    let pushed = repository.push(other, content.clone().into()).await;
    pushed.expect("pushed");
    stage.promise([super::checks::Fact::Holds(part.clone())]);
    stage.check_held().await;
}

#[tokio::test]
async fn a_manifest_in_a_batch_makes_durable_what_the_batch_did_not_see() {
    let image = Image::new("there", 3);
    let stage = added(&image).await;
    let layout = stage.layout().await;
    let batch = layout.batch().expect("a batch");
    let (manifest, content) = &image.manifest;
    let pushed = batch
        .push_reference(manifest, content.clone().into(), &[tag("v1")])
        .await;
    pushed.expect("pushed");
    batch.commit().await.expect("committed");
    stage.promise(image.tagged("v1"));
    stage.check_now().await;
}

#[tokio::test]
async fn a_tag_makes_durable_what_it_names() {
    let image = Image::new("there", 3);
    let stage = written(&[(&image, "v1")]);
    let layout = stage.layout().await;
    // The tag is there already, and then it is not.
    for name in ["v1", "v2"] {
        let tagged = layout.tag(image.descriptor(), &tag(name)).await;
        tagged.expect("tagged");
        stage.promise(image.tagged(name));
        stage.check_now().await;
    }
}

#[tokio::test]
async fn a_tag_makes_an_unlisted_manifest_durable() {
    let image = Image::new("there", 3);
    let stage = added(&image).await;
    let tagged = stage
        .layout()
        .await
        .tag(image.descriptor(), &tag("v1"))
        .await;
    tagged.expect("tagged");
    stage.promise(image.tagged("v1"));
    stage.check_now().await;
}

#[tokio::test]
async fn a_change_of_the_index_makes_durable_all_that_it_names() {
    let (one, two) = (Image::new("one", 2), Image::new("two", 2));
    let stage = written(&[(&one, "v1"), (&two, "v2")]);
    stage
        .layout()
        .await
        .untag(&tag("v1"))
        .await
        .expect("untagged");
    stage.promise(two.tagged("v2"));
    stage.check_now().await;
}

#[tokio::test]
async fn what_another_tool_adds_between_two_changes_is_made_durable() {
    let (one, two) = (Image::new("one", 2), Image::new("two", 2));
    let stage = Stage::with(&[(&one, "v1")]).await;
    let layout = stage.layout().await;
    layout
        .tag(one.descriptor(), &tag("a"))
        .await
        .expect("tagged");
    write(&stage.path(), &two, "v2");
    layout
        .tag(one.descriptor(), &tag("b"))
        .await
        .expect("tagged");
    stage.promise([one.tagged("b"), two.tagged("v2")].concat());
    stage.check_now().await;
}

#[tokio::test]
async fn a_layer_linked_from_a_layout_of_another_tool_is_durable() {
    let image = Image::with_layers("linked", vec![Bytes::from("a layer")]);
    let stage = Stage::new();
    let path = stage.root().join("source");
    write_immutable(&path, &image, "v1");
    let source = Layout::open(&path).await.expect("a layout");
    let copied = copy(&source, &stage.layout().await, "v1").await;
    copied.expect("copied");
    stage.promise(image.tagged("v1"));
    stage.check().await;
}

#[tokio::test]
async fn garbage_is_kept_while_a_power_cut_could_bring_back_what_needs_it() {
    let (kept, dropped) = (Image::new("kept", 1), Image::new("dropped", 2));
    let stage = Stage::with(&[(&kept, "v1"), (&dropped, "v2")]).await;
    stage.promise(kept.tagged("v1"));
    let manifest = kept.descriptor();
    let entry = json!({
        "mediaType": manifest.media_type(),
        "digest": manifest.digest(),
        "size": manifest.size(),
        "annotations": {"org.opencontainers.image.ref.name": "v1"},
    });
    replace_index(
        &stage.path(),
        &json!({"schemaVersion": 2, "manifests": [entry]}),
    );
    let options = GcOptions::default().with_grace(Duration::ZERO);
    let report = stage.layout().await.collect_garbage(&options).await;
    assert_eq!(report.expect("collected").removed.len(), 4);
    stage.check().await;
}

#[tokio::test]
async fn a_blob_is_kept_while_a_power_cut_could_bring_back_what_needs_it() {
    let dropped = Image::new("dropped", 1);
    let stage = Stage::with(&[(&dropped, "v1")]).await;
    list_nothing(&stage.path());
    let layout = stage.layout().await;
    let (layer, _) = &dropped.parts[1];
    layout.blobs().delete(layer).await.expect("deleted");
    stage.check().await;
}

#[tokio::test]
async fn what_a_process_stored_that_does_not_sync_is_made_durable() {
    let image = Image::new("relaxed", 3);
    let stage = Stage::new();
    let other = relaxed(&stage.path()).await;
    image
        .push_together(&other, &[tag("v1")])
        .await
        .expect("pushed");
    let source = stage.source(&image, "v1").await;
    let copied = copy(&source, &stage.layout().await, "v1").await;
    copied.expect("copied");
    stage.promise(image.tagged("v1"));
    stage.check_now().await;
}

#[tokio::test]
async fn a_blob_that_another_tool_replaces_is_made_durable_again() {
    let image = Image::new("replaced", 1);
    let stage = Stage::new();
    let layout = stage.layout().await;
    let push = async |layout: &Layout| {
        let (part, content) = &image.parts[1];
        let pushed = layout.push(part, content.clone().into()).await;
        pushed.expect("pushed");
    };
    push(&layout).await;
    let before = stage.recorder.syncs();
    push(&layout).await;
    assert_eq!(stage.recorder.syncs(), before, "it is known to be durable");
    let (part, content) = &image.parts[1];
    let path = stage.path().join("blobs/sha256").join(part.digest().hex());
    std::fs::remove_file(&path).expect("removed");
    std::fs::write(&path, content).expect("written");
    push(&layout).await;
    stage.promise([super::checks::Fact::Holds(part.clone())]);
    stage.check_now().await;
}

#[tokio::test]
async fn a_collection_that_changes_the_index_makes_durable_what_it_names() {
    let (kept, dropped) = (Image::new("kept", 2), Image::new("dropped", 1));
    let stage = written(&[(&dropped, "v0"), (&kept, "v1")]);
    let index = stage.path().join("index.json");
    let mut document: Value =
        serde_json::from_slice(&std::fs::read(index).expect("readable")).expect("json");
    let entry = document["manifests"][0].as_object_mut().expect("an entry");
    entry.remove("annotations");
    replace_index(&stage.path(), &document);
    let options = GcOptions::default()
        .with_grace(Duration::ZERO)
        .with_untagged_older_than(Some(Duration::ZERO));
    let report = stage.layout().await.collect_garbage(&options).await;
    assert_eq!(report.expect("collected").removed.len(), 3);
    stage.promise(kept.tagged("v1"));
    stage.check_now().await;
}

#[tokio::test]
async fn a_commit_that_finds_its_changes_made_makes_them_durable() {
    let image = Image::new("twice", 1);
    let stage = Stage::with(&[(&Image::new("other", 1), "v0")]).await;
    let layout = stage.layout().await;
    let batch = layout.batch().expect("a batch");
    let view = &batch;
    assert!(!view.exists(image.descriptor()).await.expect("asked"));
    image.push(view, &[tag("v1")]).await.expect("pushed");
    write(&stage.path(), &image, "v1");
    batch.commit().await.expect("committed");
    stage.promise(image.tagged("v1"));
    stage.check_now().await;
}
