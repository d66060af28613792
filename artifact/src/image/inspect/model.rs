//! What [`inspect`](super::inspect) returns. Its JSON is part of the interface: fields may be added, and those that
//! exist keep their meaning.

use std::collections::BTreeMap;

use serde::Serialize;
use tranship::{Annotations, Descriptor, Digest, MediaType, Platform};

/// What a reference names.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// The manifest that was described, without annotations.
    pub descriptor: Descriptor,
    /// What it is.
    pub kind: Kind,
    /// The type of the artifact: that of the manifest, or else that of a config that is not that of an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// When it was created, as it says itself (RFC 3339). For an index that does not say so, the latest time of its
    /// images. Reproducible builds use 1970-01-01.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The annotations of the manifest.
    pub annotations: Annotations,
    /// The manifest that this one refers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// The manifest itself, or those that an index lists, in their order; those of an index in it in its place.
    pub manifests: Vec<ManifestSummary>,
    /// The compressed size of everything that it consists of, in bytes: manifests, configs and layers, each digest
    /// once.
    pub total_size: u64,
    /// How much of the [total](Self::total_size) several manifests of the index use, in bytes, each digest once.
    pub shared_size: u64,
    /// Its referrers; `None` if they were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrers: Option<ReferrerSummary>,
}

/// What a manifest is.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// An image for one platform.
    Image,
    /// A list of manifests.
    Index,
    /// Any other content, such as files, an SBOM or a signature.
    Artifact,
    /// A statement about an image in the same index, as BuildKit writes it.
    Attestation,
}

/// A manifest that is not an index.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestSummary {
    /// The manifest, with the annotations that the index has for it.
    pub descriptor: Descriptor,
    /// What it is.
    pub kind: Kind,
    /// Whether the repository does not have the manifest, as after a copy of some platforms. Nothing else is known of
    /// it.
    pub missing: bool,
    /// What it runs on: as the index says, or else its config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// The image that this attestation describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub describes: Option<Digest>,
    /// The type of the artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// When it was created, as it says itself (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The annotations of the manifest.
    pub annotations: Annotations,
    /// Its config; absent for manifests of the withdrawn artifact type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_descriptor: Option<Descriptor>,
    /// How an image runs; `None` for artifacts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigSummary>,
    /// Its layers, the base first, or the files of an artifact.
    pub layers: Vec<LayerSummary>,
    /// The compressed size of the manifest, its config and its layers, in bytes, each digest once.
    pub total_size: u64,
}

/// A layer of an image, or a file of an artifact.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerSummary {
    /// The layer, with its annotations.
    pub descriptor: Descriptor,
    /// The name of a file of an artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The command that created the layer; `None` if the history of the image does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// The type of the statement in a layer of an attestation, such as `https://slsa.dev/provenance/v1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicate_type: Option<String>,
}

/// How an image runs (image-spec, "Image Configuration").
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigSummary {
    /// The user, by name or number, and the group after a colon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The environment, each entry as `NAME=VALUE`.
    pub env: Vec<String>,
    /// The program and its first arguments.
    pub entrypoint: Vec<String>,
    /// Further arguments, or the program without an entry point.
    pub cmd: Vec<String>,
    /// The directory in which the program starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// The ports that the program listens on, such as `80/tcp`.
    pub exposed_ports: Vec<String>,
    /// The directories that are meant for data.
    pub volumes: Vec<String>,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The signal that stops the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
}

/// The referrers of a manifest, in short.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferrerSummary {
    /// How many manifests have it as their subject.
    pub count: usize,
    /// Whether there are more, which were not counted.
    pub truncated: bool,
    /// How many there are of each artifact type, in the order of the types.
    pub types: Vec<ReferrerCount>,
    /// The tags that attach something to it, such as `sha256-….sig`, as cosign writes them.
    pub digest_tags: Vec<String>,
}

/// How many referrers are of one type.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferrerCount {
    /// The type; `None` for those without one.
    pub artifact_type: Option<MediaType>,
    /// How many there are.
    pub count: usize,
}
