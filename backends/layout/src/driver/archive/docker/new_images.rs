//! The images of a new docker-archive, made from pushed content and the images of the current archive.

use std::collections::HashSet;
use std::ops::Range;

use tranship::decompress::Compression;
use tranship::{Descriptor, Digest, Error, ErrorKind, Manifest, Result};

use super::manifest_json::{Config, ImageItem};
use super::pushed::PushedContent;
use super::tags::{ImageName, ListedManifest, listed_manifests};
use crate::driver::archive::contents::{Blob, Contents};
use crate::driver::archive::image::{Image, Layer};
use crate::driver::vanished;

impl Contents {
    /// Returns the position of a config.
    fn config(&self, digest: &Digest) -> Option<&Range<u64>> {
        let images = self.images.iter().flatten();
        let is_config = images
            .map(|image| image.config)
            .any(|config| config == *digest);
        match self.blobs.get(digest) {
            Some(Blob::Member { data, .. }) if is_config => Some(data),
            _ => None,
        }
    }

    fn layer(&self, digest: &Digest) -> Option<&Layer> {
        let layers = self.images.iter().flatten().flat_map(|image| &image.layers);
        layers.into_iter().find(|layer| layer.digest == *digest)
    }
}

/// An image of the new archive.
pub(super) struct NewImage {
    pub(super) item: ImageItem,
    /// Members that are copied from the current archive: their new names, and their positions.
    pub(super) stored: Vec<(String, Range<u64>)>,
}

impl NewImage {
    /// Returns the names of all members of the image.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let layers = self.item.layers.iter().map(String::as_str);
        layers.chain([self.item.config.as_str()])
    }

    /// Returns the image of a manifest that was pushed; `None` if it was not. Its config and layers may be in `base`.
    fn pushed(
        pushed: &PushedContent,
        listed: &ListedManifest,
        base: Option<&Contents>,
    ) -> Result<Option<Self>> {
        let Some(content) = pushed.content.get(&listed.manifest) else {
            return Ok(None);
        };
        let refused = |error: Error| error.with_subject(listed.manifest);
        let manifest: Manifest = serde_json::from_slice(content).map_err(|error| {
            refused(
                Error::new(
                    ErrorKind::InvalidManifest,
                    "this is not a manifest of an image",
                )
                .with_source(error),
            )
        })?;
        let mut stored = Vec::new();
        let digest = manifest.config.digest();
        let config = match (pushed.content.get(digest), base) {
            (Some(config), _) => config.clone(),
            (None, Some(base)) => {
                let data = base.config(digest).ok_or_else(|| vanished(digest))?;
                stored.push((config_name(digest), data.clone()));
                base.opened.read(data)?.into()
            }
            (None, None) => return Err(vanished(digest)),
        };
        let expected = Config::layers(&config).map_err(refused)?;
        let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
        for layer in &manifest.layers {
            let digest = layer.digest();
            if let Some(pushed) = pushed.layers.get(digest) {
                layers.push(layer_name(&pushed.diff_id));
                diff_ids.push(pushed.diff_id);
            } else {
                let stored_layer = base.and_then(|base| base.layer(digest));
                let stored_layer = stored_layer.ok_or_else(|| not_pushed(layer))?;
                layers.push(stored_name(stored_layer));
                diff_ids.push(stored_layer.diff_id);
                stored.push((stored_name(stored_layer), stored_layer.data.clone()));
            }
        }
        if diff_ids != expected {
            return Err(refused(
                Error::new(
                    ErrorKind::Corrupt,
                    "the layers of the image are not those in its config",
                )
                .with_hint("Docker could not load it"),
            ));
        }
        Ok(Some(Self {
            item: ImageItem {
                config: config_name(manifest.config.digest()),
                layers,
                repo_tags: Some(listed.tags.clone()),
            },
            stored,
        }))
    }

    /// Returns an image of the current archive, with new tags.
    fn stored(image: &Image, base: &Contents, tags: Vec<String>) -> Result<Self> {
        let data = base.config(&image.config);
        let data = data.ok_or_else(|| vanished(&image.config))?;
        let config = config_name(&image.config);
        let mut stored = vec![(config.clone(), data.clone())];
        let mut layers = Vec::new();
        for layer in &image.layers {
            let name = stored_name(layer);
            stored.push((name.clone(), layer.data.clone()));
            layers.push(name);
        }
        Ok(Self {
            item: ImageItem {
                config,
                layers,
                repo_tags: Some(tags),
            },
            stored,
        })
    }
}

/// Returns the error for a layer that is neither pushed nor in the current archive.
fn not_pushed(layer: &Descriptor) -> Error {
    if !layer.media_type().is_non_distributable() {
        return vanished(layer.digest());
    }
    Error::unsupported("a docker-archive needs every layer, and this one must not be distributed")
        .with_subject(layer.digest())
        .with_hint("include such layers, or write oci-archive:FILE")
}

/// Returns the name of the member for a config.
pub(super) fn config_name(digest: &Digest) -> String {
    format!("{}.json", digest.hex())
}

/// Returns the name of the member for an uncompressed layer.
pub(super) fn layer_name(diff_id: &Digest) -> String {
    format!("{}.tar", diff_id.hex())
}

fn stored_name(layer: &Layer) -> String {
    match layer.compression {
        None => layer_name(&layer.diff_id),
        Some(Compression::Gzip) => format!("{}.tar.gz", layer.digest.hex()),
        Some(Compression::Zstd) => format!("{}.tar.zst", layer.digest.hex()),
    }
}

/// Returns the images that the index `content` lists.
pub(super) fn new_images(
    pushed: &PushedContent,
    base: Option<&Contents>,
    content: &[u8],
    name: &ImageName,
) -> Result<Vec<NewImage>> {
    let stored_images = match base {
        None => &[][..],
        Some(base) => base.images.as_deref().ok_or_else(|| {
            Error::unsupported("this docker-archive is an image layout too")
                .with_subject(base.opened.path.display())
                .with_hint("change it as oci-archive:FILE, or write to a new archive")
        })?,
    };
    let mut images: Vec<NewImage> = Vec::new();
    for listed in listed_manifests(content, name)? {
        let stored = stored_images
            .iter()
            .find(|image| image.manifest == listed.manifest);
        let image = match (stored, base) {
            (Some(image), Some(base)) => NewImage::stored(image, base, listed.tags)?,
            _ => {
                let pushed = NewImage::pushed(pushed, &listed, base)?;
                pushed.ok_or_else(|| vanished(&listed.manifest))?
            }
        };
        match images
            .iter_mut()
            .find(|other| other.item.config == image.item.config)
        {
            Some(same) => {
                let tags = same.item.repo_tags.iter_mut().flatten();
                let tags: HashSet<String> = tags.map(|tag| tag.clone()).collect();
                let more = image.item.repo_tags.into_iter().flatten();
                let more = more.filter(|tag| !tags.contains(tag));
                same.item.repo_tags.get_or_insert_default().extend(more);
            }
            None => images.push(image),
        }
    }
    for image in &mut images {
        // Docker writes null where there are none.
        image.item.repo_tags.take_if(|tags| tags.is_empty());
    }
    Ok(images)
}
