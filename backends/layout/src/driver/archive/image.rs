//! The images that `docker save` writes.

use std::ops::Range;

use tranship::decompress::Compression;
use tranship::{Digest, MediaType};

/// An image in a docker-archive.
#[derive(Debug, Clone)]
pub(super) struct Image {
    /// The digest of the manifest that is made for it.
    pub(super) manifest: Digest,
    pub(super) config: Digest,
    pub(super) layers: Vec<Layer>,
    /// The names in `manifest.json`, such as `alpine:3.18`.
    pub(super) tags: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) diff_id: Digest,
    /// The digest of the member, which may be compressed.
    pub(super) digest: Digest,
    pub(super) data: Range<u64>,
    pub(super) compression: Option<Compression>,
}

/// Returns whether content of this type is a layer of an image: a part of its file system.
pub(super) fn is_image_layer(media_type: &MediaType) -> bool {
    let text = media_type.as_str();
    [
        "application/vnd.oci.image.layer.",
        "application/vnd.docker.image.rootfs.",
    ]
    .iter()
    .any(|prefix| text.starts_with(prefix))
}
