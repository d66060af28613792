//! The files that describe the images of an archive of docker.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use tranship::{Digest, Error, ErrorKind, Result};

pub(super) const MANIFEST: &str = "manifest.json";

/// One image of `manifest.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Item {
    pub(super) config: String,
    #[serde(default)]
    pub(super) repo_tags: Option<Vec<String>>,
    #[serde(default, deserialize_with = "null_or_some")]
    pub(super) layers: Vec<String>,
}

/// Reads `null` as an empty list, as Docker may write one.
fn null_or_some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The file `repositories`, which came before `manifest.json`: each tag, and the last layer.
pub(super) fn repositories(items: &[Item]) -> BTreeMap<&str, BTreeMap<&str, &str>> {
    let mut repositories: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    for item in items {
        let Some(last) = item.layers.last() else {
            continue;
        };
        let last = last.split('.').next().unwrap_or_default();
        for tag in item.repo_tags.iter().flatten() {
            if let Some((repository, tag)) = tag.rsplit_once(':') {
                repositories
                    .entry(repository)
                    .or_default()
                    .insert(tag, last);
            }
        }
    }
    repositories
}

/// What is read of an image's config.
#[derive(Deserialize)]
pub(super) struct Config {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Vec<Digest>,
}

impl Config {
    /// The digests of the layers, uncompressed.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn layers(content: &[u8]) -> Result<Vec<Digest>> {
        let config: Self = serde_json::from_slice(content).map_err(|error| {
            Error::new(ErrorKind::Corrupt, "the config of an image names no layers")
                .with_source(error)
        })?;
        Ok(config.rootfs.diff_ids)
    }
}
