//! Compares the images of a layout with the `manifest.json` that `docker save` writes beside it.
//!
//! Docker 25.0.0 wrote image manifests that list the layers in another order than the config, or no layers at all
//! (moby/moby#47150, moby/moby#47065), beside a correct `manifest.json`. The `diff_ids` of the config decide
//! (image-spec, "OCI Image Configuration").

use std::collections::{HashMap, HashSet};

use tranship::{
    Descriptor, Digest, Index, MAX_MANIFEST_SIZE, Manifest, ManifestDocument, MediaType, Result,
};

use super::manifest_json::{Config, ImageItem};
use crate::driver::archive::contents::{Blob, Contents};
use crate::driver::archive::image::is_image_layer;
use crate::driver::archive::member_name::{LayoutFile, MemberName};
use crate::driver::archive::scan::corrupt;
use crate::driver::archive::unpack::compression_of;

/// Checks that the layers of all images are those in their configs, if `docker save` wrote the layout.
///
/// # Errors
/// `Corrupt` if an image has other layers.
pub(crate) fn check_configs(contents: Contents) -> Result<Contents> {
    match find_mismatch(&contents)? {
        None => Ok(contents),
        Some(what) => Err(corrupt(&contents.opened.path, what).with_hint(
            "Docker 25.0.0 writes such archives; docker-archive:FILE reads the manifest.json that it writes beside",
        )),
    }
}

/// Describes the first image whose config names other layers than its manifest; `None` if there is no such image, or
/// no `manifest.json`.
///
/// Content that is missing or cannot be decoded is not compared.
pub(super) fn find_mismatch(contents: &Contents) -> Result<Option<String>> {
    let Some(data) = contents.docker_manifest.clone() else {
        return Ok(None);
    };
    let whole = data.clone();
    let docker = contents
        .bytes(&Blob::Member { data, whole }, MAX_MANIFEST_SIZE)
        .ok()
        .and_then(|content| serde_json::from_slice::<Vec<ImageItem>>(&content).ok())
        .unwrap_or_default();
    let of_config: HashMap<Digest, Vec<Digest>> = docker.iter().filter_map(blobs_of).collect();
    let index = contents.bytes(&contents.index, u64::MAX)?;
    let Ok(index) = serde_json::from_slice::<Index>(&index) else {
        return Ok(None);
    };
    let mut seen = HashSet::new();
    let mut next = index.manifests;
    while let Some(target) = next.pop() {
        if !target.media_type().is_manifest() || !seen.insert(*target.digest()) {
            continue;
        }
        let Some(content) = read_small(contents, &target) else {
            continue;
        };
        match ManifestDocument::decode(target.media_type(), &content) {
            Ok(Some(ManifestDocument::Index(index))) => next.extend(index.manifests),
            Ok(Some(ManifestDocument::Manifest(manifest))) => {
                if let Some(what) = mismatch(contents, &manifest, &of_config)? {
                    return Ok(Some(format!("the image {} {what}", target.digest())));
                }
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Returns the config and the layers of an image, if `manifest.json` names them as blobs of a layout.
fn blobs_of(item: &ImageItem) -> Option<(Digest, Vec<Digest>)> {
    let blob = |name: &String| match MemberName::parse(name.as_bytes()) {
        MemberName::File(LayoutFile::Blob(digest)) => Some(digest),
        _ => None,
    };
    let layers = item.layers.iter().map(blob);
    Some((blob(&item.config)?, layers.collect::<Option<_>>()?))
}

fn read_small(contents: &Contents, target: &Descriptor) -> Option<bytes::Bytes> {
    let blob = contents.blobs.get(target.digest())?;
    contents.bytes(blob, MAX_MANIFEST_SIZE).ok()
}

/// Describes how the layers in the manifest of an image differ from those in its config; `None` if they do not.
fn mismatch(
    contents: &Contents,
    manifest: &Manifest,
    of_config: &HashMap<Digest, Vec<Digest>>,
) -> Result<Option<String>> {
    let is_image = [MediaType::IMAGE_CONFIG, MediaType::DOCKER_CONFIG]
        .contains(manifest.config.media_type())
        && manifest
            .layers
            .iter()
            .all(|layer| is_image_layer(layer.media_type()));
    let config = is_image
        .then(|| read_small(contents, &manifest.config))
        .flatten();
    let Some(Ok(diff_ids)) = config.map(|config| Config::layers(&config)) else {
        return Ok(None);
    };
    let (found, named) = (manifest.layers.len(), diff_ids.len());
    if found != named {
        return Ok(Some(format!(
            "has {found} layers, and its config names {named}"
        )));
    }
    let mut is_compressed = false;
    for (position, (layer, diff_id)) in manifest.layers.iter().zip(&diff_ids).enumerate() {
        let Some(Blob::Member { data, .. }) = contents.blobs.get(layer.digest()) else {
            continue;
        };
        let opened = &contents.opened;
        let compression = compression_of(&opened.file, data.start, data.end)
            .map_err(|error| opened.unreadable(error))?;
        if compression.is_some() {
            is_compressed = true;
        } else if layer.digest().algorithm() == diff_id.algorithm() && layer.digest() != diff_id {
            return Ok(Some(format!(
                "has {} as layer {position}, and its config names {diff_id}",
                layer.digest()
            )));
        }
    }
    // Without decompressing the layers, it is not known which of the two lists is correct.
    let other = of_config.get(manifest.config.digest());
    let differs = other.is_some_and(|other| {
        let layers = manifest.layers.iter().map(|layer| *layer.digest());
        !layers.eq(other.iter().copied())
    });
    Ok((is_compressed && differs).then(|| "has other layers than manifest.json lists".into()))
}
