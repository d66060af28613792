//! What the tests of layouts have in common.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::Value;
use tranship::{
    Descriptor, Digest, Index, Manifest, MediaType, Pusher, ReferencePusher, Tag, encode_json,
};
use tranship_layout::{Durability, Layout, LayoutOptions};

pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

pub(crate) fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

pub(crate) fn tag(text: &str) -> Tag {
    text.parse().expect("a tag")
}

pub(crate) fn blob(content: &[u8]) -> Descriptor {
    Descriptor::of(MediaType::OCTET_STREAM, content)
}

/// Many bytes that do not repeat.
pub(crate) fn noise(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

pub(crate) async fn relaxed(path: &Path) -> Layout {
    let options = LayoutOptions::default().with_durability(Durability::Relaxed);
    Layout::create_with(path, options).await.expect("a layout")
}

/// A manifest that differs from every other `content`.
pub(crate) fn manifest(content: &str) -> (Descriptor, Bytes) {
    let mut manifest = Manifest::new(Descriptor::empty_json().plain(), Vec::new());
    manifest
        .annotations
        .insert("content".into(), content.into());
    encoded(MediaType::IMAGE_MANIFEST, &manifest)
}

pub(crate) fn referrer(subject: &Descriptor, artifact_type: &'static str) -> (Descriptor, Bytes) {
    let mut manifest = Manifest::new(Descriptor::empty_json().plain(), Vec::new());
    manifest.artifact_type = Some(MediaType::from_static(artifact_type));
    manifest.subject = Some(subject.plain());
    encoded(MediaType::IMAGE_MANIFEST, &manifest)
}

pub(crate) fn index(manifests: &[&Descriptor]) -> (Descriptor, Bytes) {
    let manifests = manifests.iter().map(|manifest| manifest.plain()).collect();
    encoded(MediaType::IMAGE_INDEX, &Index::new(manifests))
}

fn encoded(media_type: MediaType, document: &impl serde::Serialize) -> (Descriptor, Bytes) {
    let content = encode_json(document).expect("json");
    (Descriptor::of(media_type, &content), content)
}

pub(crate) async fn push(layout: &Layout, (target, content): &(Descriptor, Bytes), tags: &[&str]) {
    let tags: Vec<_> = tags.iter().map(|text| tag(text)).collect();
    layout
        .push_reference(target, content.clone().into(), &tags)
        .await
        .expect("pushed");
}

pub(crate) async fn push_blob(layout: &Layout, content: &Bytes) -> Descriptor {
    let target = blob(content);
    layout
        .push(&target, content.clone().into())
        .await
        .expect("pushed");
    target
}

pub(crate) fn blob_path(layout: &Path, digest: &Digest) -> PathBuf {
    layout
        .join("blobs")
        .join(digest.algorithm().as_str())
        .join(digest.hex())
}

/// `index.json` as anybody else reads it.
pub(crate) fn index_json(layout: &Path) -> Value {
    let content = std::fs::read(layout.join("index.json")).expect("an index");
    serde_json::from_slice(&content).expect("json")
}

/// The digest and the name of each entry.
pub(crate) fn entries(layout: &Path) -> Vec<(Digest, Option<String>)> {
    let index = index_json(layout);
    let manifests = index["manifests"].as_array().expect("a list");
    manifests
        .iter()
        .map(|entry| {
            let digest = entry["digest"].as_str().expect("a digest");
            let name = entry["annotations"][REF_NAME].as_str();
            (digest.parse().expect("a digest"), name.map(Into::into))
        })
        .collect()
}

/// Makes a directory a layout by hand, with the given `index.json`.
pub(crate) fn write_layout(path: &Path, index: &str) {
    std::fs::create_dir_all(path.join("blobs/sha256")).expect("a directory");
    std::fs::write(
        path.join("oci-layout"),
        r#"{"imageLayoutVersion": "1.0.0"}"#,
    )
    .expect("written");
    std::fs::write(path.join("index.json"), index).expect("written");
}

/// Everything below `.tranship` but the lock.
pub(crate) fn leftovers(layout: &Path) -> Vec<PathBuf> {
    ["tmp", "uploads"]
        .iter()
        .filter_map(|name| std::fs::read_dir(layout.join(".tranship").join(name)).ok())
        .flatten()
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

/// Waits for threads that clean up behind a dropped future.
pub(crate) async fn wait_until_nothing_is_left(layout: &Path) {
    for _ in 0..1000 {
        if leftovers(layout).is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("left behind: {:?}", leftovers(layout));
}
