//! A directory to push from, and artifacts that no honest program makes.

use std::fs;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;
use tranship::prelude::*;
use tranship::{
    Descriptor, Digest, Error, Manifest, ManifestDocument, MediaType, TagOrDigest, encode_json,
    fetch_manifest, push_bytes, tag_bytes,
};
use tranship_artifact::files::{
    FileSpec, PullOptions, PullReport, PushOptions, PushReport, pull, push,
};
use tranship_memory::MemoryRepository;

pub(crate) const TITLE: &str = "org.opencontainers.image.title";
pub(crate) const UNPACK: &str = "io.deis.oras.content.unpack";
pub(crate) const TAR_DIGEST: &str = "io.deis.oras.content.digest";

/// A directory, and a repository.
pub(crate) struct Case {
    pub(crate) directory: TempDir,
    pub(crate) repository: MemoryRepository,
}

impl Case {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a directory"),
            repository: MemoryRepository::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes the file `name`, with the directories above it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(&path, content).expect("written");
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The file `name` under this name as its title.
    pub(crate) fn spec(&self, name: &str) -> FileSpec {
        FileSpec::new(self.path(name)).with_title(name)
    }

    pub(crate) async fn push(&self, names: &[&str]) -> PushReport {
        let files: Vec<_> = names.iter().map(|name| self.spec(name)).collect();
        push(&self.repository, files, &tagged())
            .await
            .expect("pushed")
    }

    pub(crate) async fn pull(&self, options: &PullOptions) -> Result<PullReport, Error> {
        pull(&self.repository, &v1(), self.path("out"), options).await
    }

    pub(crate) async fn manifest(&self) -> Manifest {
        let (_, document) = fetch_manifest(&self.repository, &v1(), &Default::default())
            .await
            .expect("a manifest");
        match document {
            ManifestDocument::Manifest(manifest) => manifest,
            other => panic!("{other:?}"),
        }
    }

    /// Stores an artifact with these layers as `v1`.
    pub(crate) async fn store(&self, layers: Vec<(Descriptor, Vec<u8>)>) -> Descriptor {
        for (descriptor, content) in &layers {
            let source = content.clone().into();
            self.repository
                .push(&descriptor.plain(), source)
                .await
                .expect("pushed");
        }
        let config = push_bytes(&self.repository, MediaType::EMPTY_JSON, "{}")
            .await
            .expect("pushed");
        let layers = layers
            .into_iter()
            .map(|(descriptor, _)| descriptor)
            .collect();
        let manifest = encode_json(&Manifest::new(config, layers)).expect("json");
        let tags = ["v1".parse().expect("a tag")];
        tag_bytes(&self.repository, MediaType::IMAGE_MANIFEST, manifest, &tags)
            .await
            .expect("tagged")
    }

    /// Stores an artifact with one archive of the directory `d` as `v1`.
    pub(crate) async fn store_archive(&self, tar: Vec<u8>) {
        self.store(vec![archive("d", &tar)]).await;
    }

    /// What there is in the output directory, hidden files included.
    pub(crate) fn output(&self) -> Vec<String> {
        list(&self.path("out"))
    }
}

/// Returns the paths of all files, links and directories below `root`.
pub(crate) fn list(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("a type").is_dir() {
                open.push(entry.path());
            }
            let below = entry.path().strip_prefix(root).expect("below").to_owned();
            found.push(below.display().to_string());
        }
    }
    found.sort();
    found
}

pub(crate) fn v1() -> TagOrDigest {
    "v1".parse().expect("a tag")
}

pub(crate) fn tagged() -> PushOptions {
    PushOptions::default()
        .with_annotation("org.opencontainers.image.created", "2026-01-31T12:00:00Z")
        .with_tag("v1".parse().expect("a tag"))
}

pub(crate) fn overwrite() -> PullOptions {
    PullOptions::default().with_overwrite(true)
}

/// A layer with a title.
pub(crate) fn titled(title: &str, content: impl Into<Vec<u8>>) -> (Descriptor, Vec<u8>) {
    let content = content.into();
    let descriptor =
        Descriptor::of(MediaType::OCTET_STREAM, &content).with_annotation(TITLE, title);
    (descriptor, content)
}

/// A layer that is an archive to be unpacked.
pub(crate) fn archive(title: &str, tar: &[u8]) -> (Descriptor, Vec<u8>) {
    let compressed = gzip(tar);
    let descriptor = Descriptor::of(MediaType::IMAGE_LAYER_GZIP, &compressed)
        .with_annotation(TITLE, title)
        .with_annotation(UNPACK, "true")
        .with_annotation(TAR_DIGEST, Digest::of(tar).to_string());
    (descriptor, compressed)
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).expect("written");
    encoder.finish().expect("finished")
}

/// An archive with entries of any kind and name.
pub(crate) struct Tar(Builder<Vec<u8>>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    pub(crate) fn entry(
        mut self,
        kind: EntryType,
        name: &str,
        link: &str,
        mode: u32,
        content: &[u8],
    ) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        // The setters refuse what a hostile archive has.
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.0.append(&header, content).expect("appended");
        self
    }

    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        self.entry(EntryType::Regular, name, "", 0o644, content.as_bytes())
    }

    pub(crate) fn directory(self, name: &str) -> Self {
        self.entry(EntryType::Directory, name, "", 0o755, b"")
    }

    pub(crate) fn link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name, target, 0o777, b"")
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0.into_inner().expect("finished")
    }
}
