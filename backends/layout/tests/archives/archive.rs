//! Archives made by hand, and everything in them as the API gives it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;
use tranship::{
    Descriptor, Digest, ErrorKind, Fetcher as _, ListOptions, MAX_MANIFEST_SIZE, Manifest,
    MediaType, Resolver as _, Result, TagLister as _, encode_json, successors,
};
use tranship_layout::{Durability, Layout, LayoutOptions};

pub(crate) const MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

pub(crate) fn options() -> LayoutOptions {
    LayoutOptions::default().with_durability(Durability::Relaxed)
}

/// A small image with the tag `v1`, and where its archive may lie.
pub(crate) struct Image {
    pub(crate) directory: TempDir,
    pub(crate) root: Descriptor,
    pub(crate) layer: Bytes,
    /// The files of its layout.
    pub(crate) files: Vec<(String, Bytes)>,
}

impl Image {
    pub(crate) fn new() -> Self {
        let layer = Bytes::from_static(b"the content of a layer");
        let config = Bytes::from_static(b"{}");
        let manifest = encode_json(&Manifest::new(
            Descriptor::of(MediaType::IMAGE_CONFIG, &config),
            vec![Descriptor::of(MediaType::IMAGE_LAYER, &layer)],
        ))
        .expect("json");
        let root = Descriptor::of(MediaType::IMAGE_MANIFEST, &manifest);
        let listed = serde_json::to_value(
            root.clone()
                .with_annotation("org.opencontainers.image.ref.name", "v1"),
        )
        .expect("json");
        let index = serde_json::json!({"schemaVersion": 2, "manifests": [listed]}).to_string();
        let mut files = vec![
            ("index.json".to_owned(), Bytes::from(index)),
            ("oci-layout".to_owned(), Bytes::from_static(MARKER)),
        ];
        for content in [&layer, &config, &manifest] {
            files.push((name_of(content), content.clone()));
        }
        Self {
            directory: crate::support::directory(),
            root,
            layer,
            files,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("image.tar")
    }

    /// The archive of all files, with `change` made to the members.
    pub(crate) fn tar(&self, change: impl FnOnce(&mut Builder<Vec<u8>>)) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (name, content) in &self.files {
            member(&mut builder, name, content);
        }
        change(&mut builder);
        builder.into_inner().expect("in memory")
    }

    /// Writes the archive, and says how opening it and reading all of it ends.
    pub(crate) async fn read(&self, archive: &[u8]) -> Result<Picture> {
        std::fs::write(self.path(), archive).expect("written");
        read(&self.path()).await
    }

    pub(crate) async fn picture(&self) -> Picture {
        self.read(&self.tar(|_| {})).await.expect("sound")
    }
}

pub(crate) fn name_of(content: &[u8]) -> String {
    format!("blobs/sha256/{}", Digest::of(content).hex())
}

pub(crate) fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    header
}

pub(crate) fn member(builder: &mut Builder<Vec<u8>>, name: &str, content: &[u8]) {
    let mut header = header(EntryType::Regular, content.len() as u64);
    builder
        .append_data(&mut header, name, content)
        .expect("in memory");
}

/// A member whose name `tar` would refuse to write.
pub(crate) fn raw_member(
    builder: &mut Builder<Vec<u8>>,
    name: &[u8],
    kind: EntryType,
    content: &[u8],
) {
    let mut header = header(kind, content.len() as u64);
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
    builder.append(&header, content).expect("in memory");
}

/// All that the tags of an archive lead to.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(crate) struct Picture {
    pub(crate) tags: BTreeMap<String, Digest>,
    pub(crate) content: BTreeMap<Digest, Bytes>,
}

pub(crate) async fn read(path: &Path) -> Result<Picture> {
    picture(&Layout::open_archive(path, options()).await?).await
}

pub(crate) async fn picture(layout: &Layout) -> Result<Picture> {
    let mut tags = BTreeMap::new();
    let mut content = BTreeMap::new();
    let mut next = Vec::new();
    let names: Vec<_> = layout.tags(ListOptions::default()).try_collect().await?;
    for tag in names {
        let root = layout.resolve(&tag.clone().into()).await?;
        tags.insert(tag.to_string(), *root.digest());
        next.push(root);
    }
    while let Some(target) = next.pop() {
        let bytes = match layout.fetch(&target).await {
            Ok(content) => content.bytes(u64::MAX).await?,
            // A layout may be sparse.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if target.media_type().is_manifest() {
            next.extend(successors(layout, &target, MAX_MANIFEST_SIZE).await?);
        }
        content.insert(*target.digest(), bytes);
    }
    Ok(Picture { tags, content })
}
