//! The documents, each with the fields that it does not know.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::descriptor::{Annotations, Descriptor};
use crate::error::{Error, ErrorKind, Result};
use crate::media_type::MediaType;

type Fields = serde_json::Map<String, serde_json::Value>;

/// An image or artifact manifest, OCI or Docker: a config and layers.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// The manifest's own media type; manifests of image-spec 1.0 may lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// What the artifact is, where it is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, the base first; `null` reads as none.
    #[serde(default, deserialize_with = "crate::lenient::null_as_default")]
    pub layers: Vec<Descriptor>,
    /// The manifest that this one refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// What else is said of the image.
    #[serde(
        default,
        deserialize_with = "crate::lenient::null_as_default",
        skip_serializing_if = "Annotations::is_empty"
    )]
    pub annotations: Annotations,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub other: Fields,
}

impl Manifest {
    /// An OCI manifest with a config and layers.
    #[must_use]
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::IMAGE_MANIFEST),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: Annotations::new(),
            other: Fields::new(),
        }
    }
}

/// An OCI index or a Docker manifest list: manifests, often one for each platform.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The index's own media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// What the artifact is, where it is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// The manifests; `null` reads as none.
    #[serde(default, deserialize_with = "crate::lenient::null_as_default")]
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// What else is said of the index.
    #[serde(
        default,
        deserialize_with = "crate::lenient::null_as_default",
        skip_serializing_if = "Annotations::is_empty"
    )]
    pub annotations: Annotations,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub other: Fields,
}

impl Index {
    /// An OCI index of `manifests`.
    #[must_use]
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::IMAGE_INDEX),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: Annotations::new(),
            other: Fields::new(),
        }
    }
}

/// The artifact manifest, which image-spec 1.1 withdrew before its release.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactManifest {
    /// The manifest's own media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// What the artifact is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// The content; `null` reads as none.
    #[serde(default, deserialize_with = "crate::lenient::null_as_default")]
    pub blobs: Vec<Descriptor>,
    /// The manifest that this one refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// What else is said of the artifact.
    #[serde(
        default,
        deserialize_with = "crate::lenient::null_as_default",
        skip_serializing_if = "Annotations::is_empty"
    )]
    pub annotations: Annotations,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub other: Fields,
}

/// Encodes a document as compact JSON, fields in a fixed order, so that one value has one digest.
///
/// # Errors
/// [`ErrorKind::InvalidManifest`] if the value cannot be written as JSON.
pub fn encode_json<T: Serialize>(document: &T) -> Result<Bytes> {
    serde_json::to_vec(document)
        .map(Bytes::from)
        .map_err(|error| {
            Error::new(ErrorKind::InvalidManifest, "cannot be encoded as JSON").with_source(error)
        })
}
