//! The images of a bundle, and whether the open volumes have all of them.

use std::collections::BTreeSet;

use tranship::{Digest, Result, Tag};

use super::contents::ContentLocation;
use super::name::BundleName;
use super::open::Bundle;

/// An image of a bundle.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleImage {
    /// The repository.
    pub name: BundleName,
    /// The tag; `None` for an image without one.
    pub tag: Option<Tag>,
    /// The number of its manifest in the [contents](super::BundleContents).
    pub number: u32,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The bytes of everything that it needs, each piece of content once.
    pub size: u64,
    /// The bytes that are not in the bundle, since they are expected at the destination.
    pub bytes_in_base: u64,
    /// The numbers of the volumes that are not open and have content of the image.
    pub missing_volumes: Vec<u32>,
}

impl BundleImage {
    /// Returns whether the open volumes have everything that the image needs, apart from what is expected at the
    /// destination.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing_volumes.is_empty()
    }

    /// Returns whether the image needs content that is not in the bundle.
    #[must_use]
    pub fn needs_base(&self) -> bool {
        self.bytes_in_base > 0
    }
}

impl Bundle {
    /// Returns the images of the bundle, by name and tag.
    ///
    /// # Errors
    /// [`SizeExceedsLimit`](tranship::ErrorKind::SizeExceedsLimit) if the images share so much content that following all of
    /// it takes very long, as in a file that was made for that.
    pub fn images(&self) -> Result<Vec<BundleImage>> {
        let contents = &self.inner.contents;
        let mut followed = 0;
        let mut images = Vec::new();
        for image in contents.lock.images() {
            let Some(repository) = contents.lock.repositories().get(image.name) else {
                continue;
            };
            let (mut size, mut bytes_in_base, mut missing) = (0, 0, BTreeSet::new());
            for number in contents
                .lock
                .closure(repository, image.number, &mut followed)?
            {
                let node = contents.node(number)?;
                size += node.size;
                match contents.location(number) {
                    Some(ContentLocation::Base) => bytes_in_base += node.size,
                    Some(ContentLocation::Parts(_)) => {
                        missing.extend(self.inner.missing_volumes(number));
                    }
                    Some(ContentLocation::EachVolume) | None => {}
                }
            }
            images.push(BundleImage {
                name: image.name.clone(),
                tag: image.tag.cloned(),
                number: image.number,
                digest: contents.node(image.number)?.digest,
                size,
                bytes_in_base,
                missing_volumes: missing.into_iter().collect(),
            });
        }
        Ok(images)
    }
}
