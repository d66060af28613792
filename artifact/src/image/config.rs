//! The configuration of an image (image-spec, "Image Configuration"), decoded tolerantly.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use tranship::{
    Descriptor, Digest, Error, ErrorKind, Fetcher, MediaType, Platform, Result, ResultExt as _,
};

/// The fields of a configuration that are read. Missing fields and `null` are the same.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ImageConfig {
    #[serde(default)]
    pub(crate) created: Option<String>,
    #[serde(flatten)]
    pub(super) platform: Platform,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) config: Execution,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) rootfs: RootFs,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) history: Vec<History>,
}

/// How a container runs.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Execution {
    #[serde(default)]
    pub(super) user: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) exposed_ports: BTreeMap<String, serde::de::IgnoredAny>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) env: Vec<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) entrypoint: Vec<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) cmd: Vec<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) volumes: BTreeMap<String, serde::de::IgnoredAny>,
    #[serde(default)]
    pub(super) working_dir: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) stop_signal: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RootFs {
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) diff_ids: Vec<Digest>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct History {
    #[serde(default)]
    pub(super) created_by: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) empty_layer: bool,
}

fn null_as_default<'de, D, T>(deserializer: D) -> std::result::Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Returns whether `media_type` is that of the configuration of an image.
pub(crate) fn is_image_config(media_type: &MediaType) -> bool {
    [MediaType::IMAGE_CONFIG, MediaType::DOCKER_CONFIG].contains(media_type)
}

/// Reads and decodes the configuration `descriptor`.
///
/// # Errors
/// `SizeExceedsLimit` if it has more than `limit` bytes, `InvalidManifest` if it cannot be decoded, and what the store
/// fails with.
pub(crate) async fn fetch_config(
    store: &(impl Fetcher + ?Sized),
    descriptor: &Descriptor,
    limit: u64,
) -> Result<ImageConfig> {
    let content = store.fetch(descriptor).await;
    let content: Bytes = content
        .during("fetch", descriptor.digest())?
        .bytes(limit)
        .await
        .during("fetch", descriptor.digest())?;
    decode_config(descriptor, &content)
}

/// Decodes the configuration of an image.
pub(super) fn decode_config(descriptor: &Descriptor, content: &[u8]) -> Result<ImageConfig> {
    serde_json::from_slice(content).map_err(|error| {
        Error::new(
            ErrorKind::InvalidManifest,
            "the config of the image cannot be decoded",
        )
        .with_operation("decode")
        .with_subject(descriptor.digest())
        .with_source(error)
    })
}
