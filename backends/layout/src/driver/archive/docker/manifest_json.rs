//! The files that describe the images of a docker-archive.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use tranship::{Digest, Error, ErrorKind, Result};

pub(super) const MANIFEST: &str = "manifest.json";

/// One image of `manifest.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImageItem {
    pub(super) config: String,
    #[serde(default)]
    pub(super) repo_tags: Option<Vec<String>>,
    #[serde(default, deserialize_with = "null_or_some")]
    pub(super) layers: Vec<String>,
}

/// Reads `null`, as Go writes an empty list, as one.
fn null_or_some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Returns the file `repositories`, which older versions of Docker read: each tag, with the last layer.
pub(super) fn repositories(items: &[ImageItem]) -> BTreeMap<&str, BTreeMap<&str, &str>> {
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

/// The part of an image's config that is read.
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
    /// Returns the digests of the uncompressed layers.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn layers(content: &[u8]) -> Result<Vec<Digest>> {
        let config: Self = serde_json::from_slice(content).map_err(|error| {
            Error::new(
                ErrorKind::Corrupt,
                "the config of an image has no list of layers",
            )
            .with_source(error)
        })?;
        Ok(config.rootfs.diff_ids)
    }
}
