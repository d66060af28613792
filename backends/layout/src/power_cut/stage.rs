//! The directories in which scenarios run, and the images that they push.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use tempfile::TempDir;
use tranship::{
    CopyOptions, Descriptor, Digest, Manifest, MediaType, Repository, Result, Tag, encode_json,
};

use super::checks::{Checker, Fact, Kind, Soundness};
use super::recorder::Recorder;
use crate::{Durability, Layout, LayoutOptions};

/// A manifest with its config and layers.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) parts: Vec<(Descriptor, Bytes)>,
    pub(super) manifest: (Descriptor, Bytes),
}

impl Image {
    /// An image with so many small layers, which it shares with no other one.
    pub(super) fn new(name: &str, layers: usize) -> Self {
        let layers = (0..layers).map(|number| format!("layer {number} of {name}"));
        Self::with_layers(name, layers.map(Bytes::from).collect())
    }

    pub(super) fn with_layers(name: &str, layers: Vec<Bytes>) -> Self {
        let described = |media_type, content: Bytes| {
            let descriptor = Descriptor::of(media_type, &content);
            (descriptor, content)
        };
        let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer)).collect();
        let rootfs = json!({"type": "layers", "diff_ids": diff_ids});
        let config = json!({"author": name, "rootfs": rootfs}).to_string();
        let config = described(MediaType::IMAGE_CONFIG, config.into());
        let layers = layers.into_iter();
        let layers: Vec<_> = layers
            .map(|layer| described(MediaType::IMAGE_LAYER, layer))
            .collect();
        let manifest = Manifest::new(
            config.0.clone(),
            layers.iter().map(|(layer, _)| layer.clone()).collect(),
        );
        let content = encode_json(&manifest).expect("json");
        Self {
            parts: std::iter::once(config).chain(layers).collect(),
            manifest: described(MediaType::IMAGE_MANIFEST, content),
        }
    }

    pub(super) fn descriptor(&self) -> &Descriptor {
        &self.manifest.0
    }

    /// All that it consists of, the manifest last.
    pub(super) fn contents(&self) -> impl Iterator<Item = &(Descriptor, Bytes)> {
        self.parts.iter().chain([&self.manifest])
    }

    /// That all of it is there.
    pub(super) fn held(&self) -> Vec<Fact> {
        let held = |(part, _): &(Descriptor, Bytes)| Fact::Holds(part.clone());
        self.contents().map(held).collect()
    }

    /// That all of it is there, under a tag.
    pub(super) fn tagged(&self, name: &str) -> Vec<Fact> {
        let mut facts = self.held();
        facts.push(Fact::Tagged(tag(name), self.descriptor().clone()));
        facts
    }

    /// Pushes it part by part.
    pub(super) async fn push(&self, to: &dyn Repository, tags: &[Tag]) -> Result<()> {
        for (part, content) in &self.parts {
            to.push(part, content.clone().into()).await?;
        }
        let (manifest, content) = &self.manifest;
        to.push_reference(manifest, content.clone().into(), tags)
            .await
            .map(drop)
    }

    /// Pushes it in a batch.
    pub(super) async fn push_together(&self, to: &dyn Repository, tags: &[Tag]) -> Result<()> {
        let batch = to.batch().expect("layouts have batches");
        self.push(&batch, tags).await?;
        batch.commit().await
    }
}

pub(super) fn tag(text: &str) -> Tag {
    text.parse().expect("a tag")
}

/// A checker of the layout of a stage.
pub(super) fn checker() -> Checker {
    Checker::new(Kind::Layout, NAME)
}

/// A directory that is watched, and one beside it that is not.
pub(super) struct Stage {
    watched: TempDir,
    aside: TempDir,
    pub(super) recorder: Arc<Recorder>,
}

/// Where the layout is in the watched directory.
const NAME: &str = "parent/app";

impl Stage {
    /// Nothing is there.
    pub(super) fn new() -> Self {
        Self::of(tempfile::tempdir().expect("a directory"))
    }

    /// There is a layout with images, all of it durable.
    pub(super) async fn with(images: &[(&Image, &str)]) -> Self {
        let watched = tempfile::tempdir().expect("a directory");
        let layout = relaxed(&watched.path().join(NAME)).await;
        for (image, name) in images {
            image.push(&layout, &[tag(name)]).await.expect("pushed");
        }
        Self::of(watched)
    }

    fn of(watched: TempDir) -> Self {
        Self {
            aside: tempfile::tempdir().expect("a directory"),
            recorder: Recorder::watch(watched.path()),
            watched,
        }
    }

    /// The directory that is watched.
    pub(super) fn root(&self) -> &Path {
        self.watched.path()
    }

    pub(super) fn path(&self) -> PathBuf {
        self.root().join(NAME)
    }

    /// The layout, as a process sees it that has just begun.
    pub(super) async fn layout(&self) -> Layout {
        Layout::create(self.path()).await.expect("a path")
    }

    /// A layout that is not watched, and has an image.
    pub(super) async fn source(&self, image: &Image, name: &str) -> Layout {
        let layout = relaxed(&self.aside.path().join("source")).await;
        image.push(&layout, &[tag(name)]).await.expect("pushed");
        layout
    }

    /// Says what holds from now on.
    pub(super) fn promise(&self, facts: impl IntoIterator<Item = Fact>) {
        self.recorder.promise(facts);
    }

    /// Cuts the power at every moment.
    pub(super) async fn check(&self) {
        self.check_with(&mut checker()).await;
    }

    /// As [`check`](Self::check), but for images that the checker knows.
    pub(super) async fn check_with(&self, checker: &mut Checker) {
        let moments = self.recorder.moments();
        checker.check(&moments, Soundness::Checked).await;
    }

    /// Cuts the power now, and looks for what was promised only: the rest may be damaged.
    pub(super) async fn check_held(&self) {
        let moments = self.recorder.last_moment();
        checker().check(&moments, Soundness::Unknown).await;
    }

    /// Cuts the power now.
    pub(super) async fn check_now(&self) {
        self.check_now_with(&mut checker()).await;
    }

    /// As [`check_now`](Self::check_now), but for images that the checker knows.
    pub(super) async fn check_now_with(&self, checker: &mut Checker) {
        let moments = self.recorder.last_moment();
        checker.check(&moments, Soundness::Checked).await;
    }
}

pub(super) async fn relaxed(path: &Path) -> Layout {
    let options = LayoutOptions::default().with_durability(Durability::Relaxed);
    Layout::create_with(path, options).await.expect("a path")
}

pub(super) async fn copy(from: &dyn Repository, to: &dyn Repository, name: &str) -> Result<()> {
    let tag = tag(name);
    let options = CopyOptions::default();
    tranship::copy(from, &tag.clone().into(), to, &[tag], &options)
        .await
        .map(drop)
}
