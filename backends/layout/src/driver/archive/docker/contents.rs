//! Reads the output of `docker save` as a layout. A manifest is made for each image, always the same one.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::ops::Range;

use bytes::Bytes;
use tranship::decompress::{Compression, Decompressor};
use tranship::{
    Algorithm, Descriptor, Digest, Digester, Error, Index, MAX_MANIFEST_SIZE, Manifest,
    ManifestDocument, MediaType, Result, encode_json,
};
use tranship_tar::quoted;

use super::config_check::find_mismatch;
use super::manifest_json::{Config, ImageItem, MANIFEST};
use super::members::Members;
use super::tags::ImageName;
use crate::driver::archive::contents::{Blob, Contents};
use crate::driver::archive::image::{Image, Layer};
use crate::driver::archive::opened::OpenedArchive;
use crate::driver::archive::position::read_pieces;
use crate::driver::archive::scan::corrupt;
use crate::driver::archive::unpack::compression_of;
use crate::driver::file::check_limit;
use crate::driver::{INDEX, OCI_LAYOUT, marker};
use crate::index::{CONTAINERD_NAME, REF_NAME};

const LAYER_ZSTD: MediaType = MediaType::from_static("application/vnd.oci.image.layer.v1.tar+zstd");

/// Reads the headers of the archive `opened`, and the files that describe its images. The index lists their tags as for
/// the image `name`.
///
/// # Errors
/// `Corrupt` if it is not a docker-archive.
pub(super) fn read(opened: OpenedArchive, name: &ImageName) -> Result<Contents> {
    let members = Members::read(&opened)?;
    if members.has(OCI_LAYOUT) && members.has(INDEX) {
        drop(members);
        return match Contents::read(opened)? {
            contents if is_complete(&contents) && find_mismatch(&contents)?.is_none() => {
                with_full_names(contents, name)
            }
            // Docker lists platforms that the archive does not contain, and Docker 25.0.0 lists wrong layers.
            contents => read_images(contents.opened, name),
        };
    }
    drop(members);
    read_images(opened, name)
}

/// Returns whether the archive has everything that the index refers to.
fn is_complete(contents: &Contents) -> bool {
    let Ok(content) = contents.bytes(&contents.index, MAX_MANIFEST_SIZE) else {
        return false;
    };
    let Ok(index) = serde_json::from_slice::<Index>(&content) else {
        return false;
    };
    let mut seen = HashSet::new();
    let mut next = index.manifests;
    if next.is_empty() {
        return false;
    }
    while let Some(target) = next.pop() {
        let blob = contents.blobs.get(target.digest());
        let Some(blob) = blob.filter(|blob| blob.size() == target.size()) else {
            return false;
        };
        if !target.media_type().is_manifest() || !seen.insert(*target.digest()) {
            continue;
        }
        let document = contents
            .bytes(blob, MAX_MANIFEST_SIZE)
            .and_then(|content| ManifestDocument::decode(target.media_type(), &content));
        match document {
            Ok(Some(document)) => next.extend(document.successors()),
            _ => return false,
        }
    }
    true
}

/// Lists the entries of the layout by their full names, as for the image `name`. Docker writes only the tag where a layout
/// has the name of an entry, so two images may have the same name there.
fn with_full_names(mut contents: Contents, name: &ImageName) -> Result<Contents> {
    let content = contents.bytes(&contents.index, MAX_MANIFEST_SIZE)?;
    let mut index: Index = serde_json::from_slice(&content).map_err(|error| {
        corrupt(&contents.opened.path, "its index.json cannot be read").with_source(error)
    })?;
    for entry in &mut index.manifests {
        let names = [CONTAINERD_NAME, REF_NAME];
        let mut names = names.iter().filter_map(|key| entry.annotation(key));
        if let Some(full) = names.find(|name| name.contains(':')) {
            let listed = name.name_in_index(full).into_owned();
            *entry = entry.clone().with_annotation(REF_NAME, listed);
        }
    }
    contents.index = Blob::Generated(encode_json(&index)?);
    Ok(contents)
}

fn read_images(opened: OpenedArchive, name: &ImageName) -> Result<Contents> {
    let members = Members::read(&opened)?;
    if !members.has(MANIFEST) {
        let what = "has no manifest.json, so it is not a docker-archive";
        return Err(
            corrupt(&opened.path, what).with_hint(if members.has(OCI_LAYOUT) {
                "it is an image layout: read it as oci-archive:FILE"
            } else {
                "it may have been cut off, or written by a very old version of Docker"
            }),
        );
    }
    let content = read_small(&opened, &members, MANIFEST)?;
    let items: Vec<ImageItem> = serde_json::from_slice(&content).map_err(|error| {
        corrupt(&opened.path, "its manifest.json cannot be read").with_source(error)
    })?;
    let mut reader = ImageReader {
        opened: &opened,
        members: &members,
        blobs: HashMap::new(),
        hashed: HashMap::new(),
        images: Vec::new(),
    };
    let mut listed = Vec::new();
    for item in &items {
        let (root, manifest, image) = reader.image(item)?;
        reader
            .blobs
            .insert(*root.digest(), Blob::Generated(manifest));
        for tag in &image.tags {
            let tag = name.name_in_index(tag);
            listed.push(root.clone().with_annotation(REF_NAME, &*tag));
        }
        if image.tags.is_empty() {
            listed.push(root);
        }
        reader.images.push(image);
    }
    let ImageReader { blobs, images, .. } = reader;
    drop(members);
    Ok(Contents {
        opened,
        blobs,
        index: Blob::Generated(encode_json(&Index::new(listed))?),
        marker: Blob::Generated(Bytes::from_static(marker::CONTENT)),
        directories: HashSet::new(),
        dropped: Vec::new(),
        end: 0,
        docker_manifest: None,
        images: Some(images),
    })
}

/// Reads a small member.
fn read_small(opened: &OpenedArchive, members: &Members<'_>, name: &str) -> Result<Vec<u8>> {
    let data = members.file(name)?;
    check_limit(data.end - data.start, MAX_MANIFEST_SIZE)
        .map_err(|error| error.with_subject(format_args!("{}/{name}", opened.path.display())))?;
    opened.read(&data)
}

struct ImageReader<'a> {
    opened: &'a OpenedArchive,
    members: &'a Members<'a>,
    blobs: HashMap<Digest, Blob>,
    /// The digests of compressed members, of both their compressed and decompressed content, by the offsets where they begin.
    hashed: HashMap<u64, (Digest, Digest)>,
    images: Vec<Image>,
}

impl ImageReader<'_> {
    fn image(&mut self, item: &ImageItem) -> Result<(Descriptor, Bytes, Image)> {
        let config = read_small(self.opened, self.members, &item.config)?;
        let in_config = |error: Error| {
            error.with_subject(format_args!(
                "{}/{}",
                self.opened.path.display(),
                item.config
            ))
        };
        let diff_ids = Config::layers(&config).map_err(in_config)?;
        let names = &item.layers;
        if names.len() != diff_ids.len() {
            let what = format!(
                "its manifest.json names {} layers of an image, and {} has {}",
                names.len(),
                item.config,
                diff_ids.len()
            );
            return Err(corrupt(&self.opened.path, what));
        }
        let config = Descriptor::of(MediaType::IMAGE_CONFIG, &config);
        self.add(&config, self.members.file(&item.config)?)?;
        let mut layers = Vec::new();
        let mut descriptors = Vec::new();
        for (name, diff_id) in names.iter().zip(diff_ids) {
            let data = self.members.file(name)?;
            let compression = compression_of(&self.opened.file, data.start, data.end)
                .map_err(|error| self.opened.unreadable(error))?;
            let (media_type, digest) = match compression {
                // Reading the layer verifies it.
                None => (MediaType::IMAGE_LAYER, diff_id),
                Some(compression) => {
                    let (digest, decompressed) = self.hash(&data, compression, name)?;
                    if decompressed != diff_id {
                        let what = format!(
                            "its member {} decompresses to {decompressed}, and {} names {diff_id}",
                            quoted(name.as_bytes()),
                            item.config
                        );
                        return Err(corrupt(&self.opened.path, what));
                    }
                    match compression {
                        Compression::Gzip => (MediaType::IMAGE_LAYER_GZIP, digest),
                        Compression::Zstd => (LAYER_ZSTD, digest),
                    }
                }
            };
            let descriptor = Descriptor::new(media_type, digest, data.end - data.start);
            self.add(&descriptor, data.clone())?;
            layers.push(Layer {
                diff_id,
                digest,
                data,
                compression,
            });
            descriptors.push(descriptor);
        }
        let config_digest = *config.digest();
        let manifest = encode_json(&Manifest::new(config, descriptors))?;
        let root = Descriptor::of(MediaType::IMAGE_MANIFEST, &manifest);
        let image = Image {
            manifest: *root.digest(),
            config: config_digest,
            layers,
            tags: item.repo_tags.clone().unwrap_or_default(),
        };
        Ok((root, manifest, image))
    }

    fn add(&mut self, target: &Descriptor, data: Range<u64>) -> Result<()> {
        let whole = data.clone();
        let blob = Blob::Member { data, whole };
        let known = self.blobs.entry(*target.digest()).or_insert(blob);
        if known.size() != target.size() {
            let what = format!(
                "two of its members have different sizes and the same digest {}",
                target.digest()
            );
            return Err(corrupt(&self.opened.path, what));
        }
        Ok(())
    }

    /// Returns the digests of a compressed member: of its compressed and of its decompressed content.
    fn hash(
        &mut self,
        data: &Range<u64>,
        compression: Compression,
        name: &str,
    ) -> Result<(Digest, Digest)> {
        if let Some(digests) = self.hashed.get(&data.start) {
            return Ok(*digests);
        }
        let damaged = |error: io::Error| {
            let what = format!(
                "its member {} cannot be decompressed",
                quoted(name.as_bytes())
            );
            corrupt(&self.opened.path, what).with_source(error)
        };
        let mut digester = Digester::new(Algorithm::Sha256);
        let mut decompressor = Decompressor::new(
            Some(compression),
            HashWriter(Digester::new(Algorithm::Sha256)),
        );
        let mut failure = None;
        read_pieces(&self.opened.file, data, |piece| {
            digester.update(piece);
            if failure.is_none() {
                failure = decompressor.write_all(piece).err();
            }
            Ok::<_, io::Error>(())
        })
        .map_err(|error| self.opened.unreadable(error))?;
        let decompressed = match failure {
            None => decompressor.finish().map_err(damaged)?,
            Some(error) => return Err(damaged(error)),
        };
        let digests = (digester.finish(), decompressed.0.finish());
        self.hashed.insert(data.start, digests);
        Ok(digests)
    }
}

/// Hashes all bytes that are written to it.
struct HashWriter(Digester);

impl Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
