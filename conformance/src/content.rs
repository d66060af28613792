//! Content to push: blobs, images, artifacts and indexes, the same on every run.
//!
//! ```
//! use tranship::MediaType;
//! use tranship_conformance::content::Image;
//!
//! let image = Image::new("base").build();
//! let signature = Image::new("signature")
//!     .with_artifact_type("application/vnd.example.signature")
//!     .with_subject(image.manifest().descriptor())
//!     .build();
//! assert_eq!(signature.manifest().descriptor().media_type(), &MediaType::IMAGE_MANIFEST);
//! assert_eq!(image.blobs().len(), 2);
//! ```

use bytes::Bytes;
use tranship::{Algorithm, Annotations, Descriptor, Digest, Index, Manifest, MediaType, Source};

/// Some bytes, and the descriptor that names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    descriptor: Descriptor,
    bytes: Bytes,
}

impl Item {
    /// Content of a media type, named by its sha256 digest.
    pub fn new(media_type: MediaType, bytes: impl Into<Bytes>) -> Self {
        Self::named_by(Algorithm::Sha256, media_type, bytes)
    }

    /// Content of a media type, named by a digest of `algorithm`.
    pub fn named_by(algorithm: Algorithm, media_type: MediaType, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            descriptor: Descriptor::of_with(algorithm, media_type, &bytes),
            bytes,
        }
    }

    /// A blob of no particular type.
    pub fn blob(bytes: impl Into<Bytes>) -> Self {
        Self::new(MediaType::OCTET_STREAM, bytes)
    }

    /// A blob of `size` bytes without a pattern that compresses or repeats within 64 KiB; another
    /// one for each `seed`.
    #[must_use]
    pub fn noise(seed: u64, size: usize) -> Self {
        Self::blob(crate::source::noise(seed, size))
    }

    /// What the content is named.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The digest of the content.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        self.descriptor.digest()
    }

    /// The content.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The content as what a push takes.
    #[must_use]
    pub fn source(&self) -> Source<'static> {
        Source::from(self.bytes.clone())
    }
}

/// A manifest with the blobs that it refers to.
#[derive(Debug, Clone)]
pub struct Packed {
    manifest: Item,
    blobs: Vec<Item>,
}

impl Packed {
    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Item {
        &self.manifest
    }

    /// The manifest's descriptor.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        self.manifest.descriptor()
    }

    /// The config, then the layers.
    #[must_use]
    pub fn blobs(&self) -> &[Item] {
        &self.blobs
    }
}

/// Builds an image or artifact: a config, layers, and a manifest of them.
///
/// Everything follows from the name, so that images of different names share no content.
#[derive(Debug, Clone)]
#[must_use = "nothing is built before `build`"]
pub struct Image {
    name: String,
    algorithm: Algorithm,
    media_type: MediaType,
    layers: usize,
    config_type: MediaType,
    artifact_type: Option<MediaType>,
    subject: Option<Descriptor>,
    annotations: Annotations,
}

impl Image {
    /// An OCI image with one layer.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            algorithm: Algorithm::Sha256,
            media_type: MediaType::IMAGE_MANIFEST,
            layers: 1,
            config_type: MediaType::IMAGE_CONFIG,
            artifact_type: None,
            subject: None,
            annotations: Annotations::new(),
        }
    }

    /// As Docker wrote it before there was OCI.
    pub fn docker(mut self) -> Self {
        self.media_type = MediaType::DOCKER_MANIFEST;
        self.config_type = MediaType::DOCKER_CONFIG;
        self
    }

    /// Makes the withdrawn artifact manifest: the layers are its blobs, and it does not have a config.
    pub fn as_artifact_manifest(mut self) -> Self {
        self.media_type = MediaType::ARTIFACT_MANIFEST;
        self
    }

    /// Names the manifest by a digest of `algorithm`; the blobs keep their sha256 digests.
    pub fn named_by(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Sets how many layers there are.
    pub fn with_layers(mut self, layers: usize) -> Self {
        self.layers = layers;
        self
    }

    /// Sets the media type of the config.
    pub fn with_config_type(mut self, config_type: &'static str) -> Self {
        self.config_type = MediaType::from_static(config_type);
        self
    }

    /// Says what kind of artifact this is.
    pub fn with_artifact_type(mut self, artifact_type: &'static str) -> Self {
        self.artifact_type = Some(MediaType::from_static(artifact_type));
        self
    }

    /// Makes this refer to another manifest.
    pub fn with_subject(mut self, subject: &Descriptor) -> Self {
        self.subject = Some(subject.plain());
        self
    }

    /// Adds an annotation to the manifest.
    pub fn with_annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// The manifest and its blobs.
    #[must_use]
    pub fn build(self) -> Packed {
        let config = Item::new(
            self.config_type.clone(),
            format!(
                r#"{{"architecture":"amd64","os":"linux","author":"{}"}}"#,
                self.name
            ),
        );
        let layers: Vec<Item> = (0..self.layers)
            .map(|number| {
                let text = format!("layer {number} of {}", self.name);
                Item::new(MediaType::IMAGE_LAYER, text)
            })
            .collect();
        let layer_descriptors = layers
            .iter()
            .map(|layer| layer.descriptor.clone())
            .collect();
        let (bytes, blobs) = if self.media_type == MediaType::ARTIFACT_MANIFEST {
            (self.artifact_manifest(layer_descriptors), layers)
        } else {
            let bytes = self.manifest(config.descriptor.clone(), layer_descriptors);
            (bytes, std::iter::once(config).chain(layers).collect())
        };
        Packed {
            manifest: Item::named_by(self.algorithm, self.media_type, bytes),
            blobs,
        }
    }

    fn manifest(&self, config: Descriptor, layers: Vec<Descriptor>) -> Bytes {
        let mut manifest = Manifest::new(config, layers);
        manifest.media_type = Some(self.media_type.clone());
        manifest.artifact_type.clone_from(&self.artifact_type);
        manifest.subject.clone_from(&self.subject);
        manifest.annotations.clone_from(&self.annotations);
        encode(&manifest)
    }

    fn artifact_manifest(&self, blobs: Vec<Descriptor>) -> Bytes {
        let document = serde_json::json!({
            "mediaType": self.media_type,
            "artifactType": self.artifact_type,
            "blobs": blobs,
            "subject": self.subject,
            "annotations": self.annotations,
        });
        Bytes::from(document.to_string())
    }
}

/// Builds an index.
#[derive(Debug, Clone)]
#[must_use = "nothing is built before `build`"]
pub struct ImageIndex {
    index: Index,
}

impl ImageIndex {
    /// An OCI index that lists `manifests`.
    pub fn of<'a>(manifests: impl IntoIterator<Item = &'a Descriptor>) -> Self {
        Self {
            index: Index::new(manifests.into_iter().cloned().collect()),
        }
    }

    /// As a Docker manifest list.
    pub fn docker(mut self) -> Self {
        self.index.media_type = Some(MediaType::DOCKER_MANIFEST_LIST);
        self
    }

    /// Says what kind of artifact this is.
    pub fn with_artifact_type(mut self, artifact_type: &'static str) -> Self {
        self.index.artifact_type = Some(MediaType::from_static(artifact_type));
        self
    }

    /// Makes this refer to another manifest.
    pub fn with_subject(mut self, subject: &Descriptor) -> Self {
        self.index.subject = Some(subject.plain());
        self
    }

    /// Adds an annotation to the index.
    pub fn with_annotation(mut self, key: &str, value: &str) -> Self {
        self.index.annotations.insert(key.into(), value.into());
        self
    }

    /// The index.
    #[must_use]
    pub fn build(self) -> Item {
        let media_type = self.index.media_type.clone();
        Item::new(
            media_type.unwrap_or(MediaType::IMAGE_INDEX),
            encode(&self.index),
        )
    }
}

fn encode<T: serde::Serialize>(document: &T) -> Bytes {
    tranship::encode_json(document).unwrap_or_default()
}
