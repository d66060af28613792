//! What differs between two bundles or locks.

use std::collections::{BTreeMap, BTreeSet};

use tranship::{Digest, Result, Tag};

use super::lock::{Lock, LockedImage};
use super::name::BundleName;

/// An image that is in one of two locks, or differs between them.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageChange {
    /// The repository.
    pub name: BundleName,
    /// The tag; `None` for an image without one.
    pub tag: Option<Tag>,
    /// The digest in the old lock, if it has the image.
    pub old: Option<Digest>,
    /// The digest in the new lock, if it has the image.
    pub new: Option<Digest>,
    /// How many bytes of the image only the new lock has, or of a removed one only the old lock.
    pub bytes: u64,
}

/// What differs between an old and a new lock.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LockDiff {
    /// Images that only the new one has.
    pub added: Vec<ImageChange>,
    /// Images that only the old one has.
    pub removed: Vec<ImageChange>,
    /// Tags that name another manifest.
    pub moved: Vec<ImageChange>,
    /// The bytes of all content that only the new one has, each once.
    pub added_bytes: u64,
    /// The bytes of all content that only the old one has, each once.
    pub removed_bytes: u64,
}

/// An image in a map: by its tag, or by its digest.
type ImageKey<'a> = (&'a BundleName, Option<&'a Tag>, Option<Digest>);

impl Lock {
    /// Returns what differs between this lock, the old one, and `new`.
    ///
    /// # Errors
    /// [`SizeExceedsLimit`](tranship::ErrorKind::SizeExceedsLimit) if the images share so much content that following all of
    /// it takes very long, as in a file that was made for that.
    pub fn diff(&self, new: &Self) -> Result<LockDiff> {
        let (before, after) = (images(self), images(new));
        let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let mut diff = LockDiff {
            added_bytes: only_in(new, self),
            removed_bytes: only_in(self, new),
            ..LockDiff::default()
        };
        let mut followed = 0;
        for key in keys {
            let (old_image, new_image) = (before.get(key), after.get(key));
            let digest = |lock: &Self, image: &LockedImage<'_>| {
                lock.get(image.number).map(|node| node.digest)
            };
            let old_digest = old_image.and_then(|image| digest(self, image));
            let new_digest = new_image.and_then(|image| digest(new, image));
            if old_digest == new_digest {
                continue;
            }
            let bytes = match (new_image, old_image) {
                (Some(image), _) => bytes_only_in(new, image, self, &mut followed)?,
                (None, Some(image)) => bytes_only_in(self, image, new, &mut followed)?,
                (None, None) => 0,
            };
            let change = ImageChange {
                name: key.0.clone(),
                tag: key.1.cloned(),
                old: old_digest,
                new: new_digest,
                bytes,
            };
            match (old_image, new_image) {
                (None, _) => diff.added.push(change),
                (Some(_), None) => diff.removed.push(change),
                (Some(_), Some(_)) => diff.moved.push(change),
            }
        }
        Ok(diff)
    }
}

fn images(lock: &Lock) -> BTreeMap<ImageKey<'_>, LockedImage<'_>> {
    let images = lock.images().filter_map(|image| {
        let digest = lock.get(image.number)?.digest;
        let digest = image.tag.is_none().then_some(digest);
        Some(((image.name, image.tag, digest), image))
    });
    images.collect()
}

fn only_in(lock: &Lock, other: &Lock) -> u64 {
    let nodes = lock.contents().iter();
    let only = nodes.filter(|node| other.number(node.kind(), &node.digest).is_none());
    only.map(|node| node.size).sum()
}

fn bytes_only_in(
    lock: &Lock,
    image: &LockedImage<'_>,
    other: &Lock,
    followed: &mut u64,
) -> Result<u64> {
    let Some(repository) = lock.repositories().get(image.name) else {
        return Ok(0);
    };
    let below = lock.closure(repository, image.number, followed)?;
    let nodes = below.into_iter().filter_map(|number| lock.get(number));
    let only = nodes.filter(|node| other.number(node.kind(), &node.digest).is_none());
    Ok(only.map(|node| node.size).sum())
}
