//! Images of layers that tests write entry by entry, in a repository in memory.

use std::io::Write as _;

use bytes::Bytes;
use flate2::write::GzEncoder;
use futures_util::TryStreamExt as _;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use tar::{EntryType, Header};
use tranship::{
    Descriptor, Digest, Manifest, MediaType, Platform, Pusher as _, ReferencePusher as _, Result,
    encode_json,
};
use tranship_artifact::image::{Entry, EntryKind, FileContent, Filesystem, FilesystemOptions};
use tranship_memory::MemoryRepository;

/// A layer that is being written.
#[derive(Clone, Default)]
pub(crate) struct Layer(pub(crate) Vec<u8>);

impl Layer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds an entry as it is.
    pub(crate) fn raw(mut self, mut header: Header, name: &[u8], content: &[u8]) -> Self {
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        let padded = self.0.len().next_multiple_of(512);
        self.0.resize(padded, 0);
        self
    }

    pub(crate) fn entry(self, kind: EntryType, name: &str, target: &str, content: &[u8]) -> Self {
        let mut header = header(kind, content.len() as u64);
        header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
        self.raw(header, name.as_bytes(), content)
    }

    pub(crate) fn dir(self, name: &str) -> Self {
        self.entry(EntryType::Directory, name, "", b"")
    }

    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        self.entry(EntryType::Regular, name, "", content.as_bytes())
    }

    pub(crate) fn link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name, target, b"")
    }

    pub(crate) fn hard(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Link, name, target, b"")
    }

    /// Adds pax records for the next entry.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length += 1;
            }
            data.extend_from_slice(format!("{length} {key}=").as_bytes());
            data.extend_from_slice(value);
            data.push(b'\n');
        }
        let header = header(EntryType::XHeader, data.len() as u64);
        self.raw(header, b"pax", &data)
    }

    /// The archive with its end.
    pub(crate) fn tar(&self) -> Vec<u8> {
        [&self.0[..], &[0; 1024]].concat()
    }
}

pub(crate) fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    header
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).expect("in memory");
    encoder.finish().expect("in memory")
}

pub(crate) fn zstd(content: &[u8]) -> Vec<u8> {
    compress_to_vec(content, CompressionLevel::Fastest)
}

/// A repository with an image under the tag `v1`.
pub(crate) struct Image(pub(crate) MemoryRepository);

impl Image {
    /// An image of compressed layers, each with the archive that it decompresses to.
    pub(crate) async fn of_blobs(layers: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
        let image = Self(MemoryRepository::new());
        let diff_ids = layers.iter().map(|(_, tar)| Digest::of(tar)).collect();
        let blobs = layers.into_iter().map(|(blob, _)| blob).collect();
        image.push("v1", blobs, diff_ids).await;
        image
    }

    pub(crate) async fn of(layers: &[Layer]) -> Self {
        let layers = layers.iter().map(Layer::tar);
        Self::of_blobs(layers.map(|tar| (gzip(&tar), tar)).collect()).await
    }

    pub(crate) async fn push(
        &self,
        tag: &str,
        blobs: Vec<Vec<u8>>,
        diff_ids: Vec<Digest>,
    ) -> Descriptor {
        let mut layers = Vec::new();
        for blob in blobs {
            let layer = Descriptor::of(MediaType::IMAGE_LAYER_GZIP, &blob);
            let pushed = self.0.push(&layer, Bytes::from(blob).into()).await;
            pushed.expect("pushed");
            layers.push(layer);
        }
        let config = serde_json::json!({
            "created": "2026-01-02T03:04:05Z", "os": "linux", "architecture": "amd64",
            "config": { "Cmd": ["sh"], "Volumes": null },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": [{ "created_by": "RUN one" }, { "created_by": "ENV", "empty_layer": true }],
        });
        let config = self.put(MediaType::IMAGE_CONFIG, &config).await;
        self.tagged(tag, &Manifest::new(config, layers)).await
    }

    /// Pushes a blob or an untagged manifest.
    pub(crate) async fn put(
        &self,
        media_type: MediaType,
        value: &impl serde::Serialize,
    ) -> Descriptor {
        let bytes = encode_json(value).expect("JSON");
        let descriptor = Descriptor::of(media_type, &bytes);
        let pushed = self.0.push(&descriptor, bytes.into()).await;
        pushed.expect("pushed");
        descriptor
    }

    pub(crate) async fn tagged(&self, tag: &str, manifest: &Manifest) -> Descriptor {
        let bytes = encode_json(manifest).expect("JSON");
        let descriptor = Descriptor::of(MediaType::IMAGE_MANIFEST, &bytes);
        let tags = [tag.parse().expect("a tag")];
        let pushed = self
            .0
            .push_reference(&descriptor, bytes.into(), &tags)
            .await;
        pushed.expect("pushed");
        descriptor
    }

    pub(crate) async fn open(&self) -> Filesystem<'_> {
        self.open_with(FilesystemOptions::default())
            .await
            .expect("opened")
    }

    pub(crate) async fn open_with(&self, options: FilesystemOptions) -> Result<Filesystem<'_>> {
        Filesystem::open(&self.0, &"v1".parse()?, options).await
    }

    /// Lists everything, a line for each path.
    pub(crate) async fn list(&self) -> Result<Vec<String>> {
        let mut files = self.open().await;
        let entries = files.list("/", true).await?;
        let mut lines = Vec::new();
        for entry in entries {
            lines.push(describe(&mut files, &entry).await);
        }
        Ok(lines)
    }
}

pub(crate) fn linux(architecture: &str) -> Platform {
    Platform::new("linux", architecture)
}

pub(crate) async fn text(content: FileContent) -> String {
    let body = content.into_body().expect("a body");
    let pieces: Vec<Bytes> = body.into_stream().try_collect().await.expect("read");
    String::from_utf8(pieces.concat()).expect("UTF-8")
}

/// Describes an entry: `/dir/`, `/file=content`, `/link>target`.
async fn describe(files: &mut Filesystem<'_>, entry: &Entry) -> String {
    let path = entry.path_text();
    match &entry.kind {
        EntryKind::Directory => format!("{path}/"),
        EntryKind::Symlink { target } => {
            format!("{path}>{}", String::from_utf8_lossy(target))
        }
        EntryKind::File { .. } => {
            let (_, content) = files.read(&path).await.expect("a file");
            format!("{path}={}", text(content).await)
        }
        _ => format!("{path}?"),
    }
}
