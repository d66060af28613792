//! Archives of docker: images as they are pushed, and files as docker would read them.

mod agreement;
mod damage;
mod names;
mod refused;
mod writing;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;
use tranship::{
    CopyOptions, CopyReport, Descriptor, Digest, Fetcher as _, Manifest, MediaType, Repository,
    Resolver as _, Result, copy, encode_json,
};
use tranship_layout::Layout;

use crate::archive::{options, picture};
use crate::reading::{gzip, zstd};
use crate::support::{directory, push, relaxed, tag};

/// How a layer is compressed where an image comes from.
#[derive(Debug, Clone, Copy)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    fn pack(self, content: &[u8]) -> (MediaType, Bytes) {
        match self {
            Self::Plain => (MediaType::IMAGE_LAYER, Bytes::copy_from_slice(content)),
            Self::Gzip => (MediaType::IMAGE_LAYER_GZIP, gzip(content).into()),
            Self::Zstd => (
                MediaType::from_static("application/vnd.oci.image.layer.v1.tar+zstd"),
                zstd(content).into(),
            ),
        }
    }
}

/// An image that can be pushed.
struct Image {
    /// Its layers, not compressed.
    contents: Vec<Bytes>,
    config: Bytes,
    blobs: Vec<(Descriptor, Bytes)>,
    root: (Descriptor, Bytes),
}

impl Image {
    fn new(contents: &[&[u8]], packing: Packing) -> Self {
        let layers: Vec<_> = contents
            .iter()
            .map(|content| packing.pack(content))
            .collect();
        Self::of(contents, &layers)
    }

    /// An image with layers that may be anything.
    fn of(contents: &[&[u8]], layers: &[(MediaType, Bytes)]) -> Self {
        Self::with_author("", contents, layers)
    }

    fn with_author(author: &str, contents: &[&[u8]], layers: &[(MediaType, Bytes)]) -> Self {
        let diff_ids: Vec<_> = contents.iter().map(|content| digest(content)).collect();
        let config = json!({
            "architecture": "amd64",
            "author": author,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = Bytes::from(config.to_string());
        let described = |(media_type, content): &(MediaType, Bytes)| {
            (Descriptor::of(media_type.clone(), content), content.clone())
        };
        let mut blobs: Vec<_> = layers.iter().map(described).collect();
        let layers = blobs.iter().map(|(layer, _)| layer.clone()).collect();
        let described = Descriptor::of(MediaType::IMAGE_CONFIG, &config);
        let manifest = encode_json(&Manifest::new(described.clone(), layers)).expect("json");
        blobs.push((described, config.clone()));
        Self {
            contents: contents
                .iter()
                .map(|content| Bytes::copy_from_slice(content))
                .collect(),
            config,
            blobs,
            root: (
                Descriptor::of(MediaType::IMAGE_MANIFEST, &manifest),
                manifest,
            ),
        }
    }

    async fn push_to(&self, layout: &Layout, name: &str) {
        for (target, content) in &self.blobs {
            let pushed = tranship::Pusher::push(layout, target, content.clone().into()).await;
            pushed.expect("pushed");
        }
        push(layout, &self.root, &[name]).await;
    }

    /// What `manifest.json` is to say.
    fn listed(&self, tags: &Value) -> Value {
        let layers = self.contents.iter().map(|content| layer_name(content));
        json!({
            "Config": config_name(&self.config),
            "RepoTags": tags,
            "Layers": layers.collect::<Vec<_>>(),
        })
    }
}

fn digest(content: &[u8]) -> String {
    Digest::of(content).to_string()
}

fn layer_name(content: &[u8]) -> String {
    format!("{}.tar", Digest::of(content).hex())
}

fn config_name(content: &[u8]) -> String {
    format!("{}.json", Digest::of(content).hex())
}

/// A directory for archives, and for the layouts from which they come.
struct Place {
    archives: TempDir,
    sources: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            archives: directory(),
            sources: directory(),
        }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.archives.path().join(file)
    }

    /// The files beside the archives too.
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.archives.path()).expect("readable");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<_> = names
            .map(|name| name.into_string().expect("text"))
            .collect();
        names.sort();
        names
    }

    /// Opens `FILE[:NAME:TAG]`, which need not exist.
    async fn create(&self, location: &str) -> Layout {
        let (file, name) = parts(location);
        Layout::create_docker_archive(self.path(file), name, options())
            .await
            .expect("opens")
    }

    async fn open(&self, location: &str) -> Result<Layout> {
        let (file, name) = parts(location);
        Layout::open_docker_archive(self.path(file), name, options()).await
    }

    /// A layout with the image under the tag `source`.
    async fn source(&self, image: &Image) -> Layout {
        let path = self.sources.path().join(image.root.0.digest().hex());
        let layout = relaxed(&path).await;
        image.push_to(&layout, "source").await;
        layout
    }

    /// Copies an image to `location`, as its tag says.
    async fn copy(&self, image: &Image, location: &str) -> Result<CopyReport> {
        let name = location.rsplit(':').next().expect("a tag");
        let source = self.source(image).await;
        let destination = self.create(location).await;
        copy_tagged(&source, &destination, name).await
    }

    fn bytes(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.path(file)).expect("readable")
    }

    fn manifest_json(&self, file: &str) -> Value {
        let members = members(&self.path(file));
        let (_, content) = members
            .iter()
            .find(|(name, _)| name == "manifest.json")
            .expect("there");
        serde_json::from_slice(content).expect("json")
    }
}

async fn copy_tagged(
    source: &dyn Repository,
    destination: &dyn Repository,
    name: &str,
) -> Result<CopyReport> {
    let from = tag("source").into();
    copy(
        source,
        &from,
        destination,
        &[tag(name)],
        &CopyOptions::default(),
    )
    .await
}

/// The members of an archive, in their order.
fn members(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(std::fs::File::open(path).expect("there"));
    let entries = archive.entries().expect("readable");
    entries
        .map(|entry| {
            let mut entry = entry.expect("sound");
            let name = entry.path().expect("text").display().to_string();
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).expect("readable");
            (name, content)
        })
        .collect()
}

fn names(path: &Path) -> Vec<String> {
    members(path).into_iter().map(|(name, _)| name).collect()
}

/// The tags of an archive, in order.
async fn tags(layout: &Layout) -> Vec<String> {
    let picture = picture(layout).await.expect("sound");
    picture.tags.into_keys().collect()
}

/// What a tag leads to: the root, its config, and its layers.
async fn unpack(layout: &Layout, name: &str) -> Result<(Descriptor, Manifest, Vec<Bytes>)> {
    let root = layout.resolve(&tag(name).into()).await?;
    let content = layout.fetch(&root).await?.bytes(u64::MAX).await?;
    let manifest: Manifest = serde_json::from_slice(&content).expect("a manifest");
    let mut contents = Vec::new();
    for target in std::iter::once(&manifest.config).chain(&manifest.layers) {
        contents.push(layout.fetch(target).await?.bytes(u64::MAX).await?);
    }
    Ok((root, manifest, contents))
}

/// Splits `FILE[:NAME:TAG]` into the file and the name.
fn parts(location: &str) -> (&str, Option<&str>) {
    match location.split_once(':') {
        None => (location, None),
        Some((file, image)) => (file, image.rsplit_once(':').map(|(name, _)| name)),
    }
}
