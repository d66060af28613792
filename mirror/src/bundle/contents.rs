//! What a bundle has, in which volume, and what it expects at the destination: its member `bundle.json`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use tranship::{ContentKind, Digest, Result};

use super::encode::{self, Described};
use super::lock::Lock;
use super::name::BundleName;
use super::node::{ContentNode, RepositoryContents, invalid};
use super::owners::Owners;

/// The most volumes of a bundle.
pub(super) const MAX_VOLUMES: u32 = 100_000;

/// A blob, or a part of it, in a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobPart {
    /// The number of the volume, from 1 on.
    pub volume: u32,
    /// Where the part begins in the blob, in bytes.
    pub offset: u64,
    /// The length of the part in bytes.
    pub length: u64,
}

/// Where a piece of content of a bundle is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentLocation {
    /// A manifest, which each volume has.
    EachVolume,
    /// A blob, whole in one volume or in parts, in the order of the parts.
    Parts(Vec<BlobPart>),
    /// Not in the bundle. The destination has it, in the repositories that [`BundleContents::base_holders`] names.
    Base,
}

/// What a bundle has, in which volume, and what it expects at the destination.
///
/// The [`Lock`] in it describes the destination as it will be, whatever volume each piece of content is in.
#[derive(Clone)]
pub struct BundleContents {
    pub(super) lock: Lock,
    pub(super) volume: u32,
    pub(super) volumes: u32,
    pub(super) set: Digest,
    /// Content that is not in the bundle, by repositories of the destination that have it.
    pub(super) base: BTreeMap<BundleName, Vec<u32>>,
    pub(super) in_base: HashSet<u32>,
    /// The blobs of each volume, in their order.
    pub(super) parts: Vec<Vec<(u32, u64, u64)>>,
    /// Where each blob is.
    locations: HashMap<u32, Vec<BlobPart>>,
    /// The digest and the size of the member `index.json`; `None` for an archive without a `bundle.json`.
    pub(super) index: Option<(Digest, u64)>,
}

impl fmt::Debug for BundleContents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundleContents")
            .field("set", &self.set)
            .field("volumes", &self.volumes)
            .field("lock", &self.lock)
            .finish_non_exhaustive()
    }
}

impl BundleContents {
    /// Checks the parts of a bundle against each other, and computes the digest of the set.
    ///
    /// # Errors
    /// `Corrupt` if they contradict each other.
    pub(super) fn new(
        lock: Lock,
        base: BTreeMap<BundleName, Vec<u32>>,
        parts: Vec<Vec<(u32, u64, u64)>>,
        index: Option<(Digest, u64)>,
    ) -> Result<Self> {
        let in_base: HashSet<u32> = base.values().flatten().copied().collect();
        if in_base.iter().any(|number| lock.get(*number).is_none()) {
            return Err(invalid("the base has content that is not listed"));
        }
        let volumes = u32::try_from(parts.len()).ok();
        let volumes = volumes.filter(|count| (1..=MAX_VOLUMES).contains(count));
        let volumes = volumes.ok_or_else(|| invalid("the number of volumes is wrong"))?;
        let locations = locate(&lock, &in_base, &parts)?;
        let mut contents = Self {
            lock,
            volume: 1,
            volumes,
            set: Digest::of(b""),
            base,
            in_base,
            parts,
            locations,
            index,
        };
        contents.set = encode::set(&contents.described());
        Ok(contents)
    }

    fn described(&self) -> Described<'_> {
        Described {
            lock: &self.lock,
            index: self.index,
            base: &self.base,
            parts: &self.parts,
        }
    }

    /// Returns the text of `bundle.json` in a volume.
    pub(super) fn encode(&self, volume: u32) -> Vec<u8> {
        encode::bundle(&self.described(), &self.set, volume).into_bytes()
    }

    /// Returns the same contents, as volume `number` has them.
    pub(super) fn with_volume(mut self, number: u32) -> Self {
        self.volume = number;
        self
    }

    /// Returns the digest that all volumes of the bundle share, and no other bundle has.
    #[must_use]
    pub fn set(&self) -> &Digest {
        &self.set
    }

    /// Returns the number of volumes.
    #[must_use]
    pub fn volumes(&self) -> u32 {
        self.volumes
    }

    /// Returns what the destination has after the whole bundle was applied.
    #[must_use]
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Returns where a piece of content is; `None` if the number is not one of its contents.
    #[must_use]
    pub fn location(&self, number: u32) -> Option<ContentLocation> {
        let node = self.lock.get(number)?;
        if self.in_base.contains(&number) {
            return Some(ContentLocation::Base);
        }
        Some(match node.kind() {
            ContentKind::Manifest => ContentLocation::EachVolume,
            ContentKind::Blob => ContentLocation::Parts(self.parts_of(number).to_vec()),
        })
    }

    /// Returns the parts of a blob in the order of their offsets; none if it is not in the bundle.
    pub(super) fn parts_of(&self, blob: u32) -> &[BlobPart] {
        self.locations.get(&blob).map_or(&[], Vec::as_slice)
    }

    /// Returns whether the content is expected at the destination, and not in the bundle.
    #[must_use]
    pub fn is_in_base(&self, number: u32) -> bool {
        self.in_base.contains(&number)
    }

    /// Returns the content that is not in the bundle, by number, in ascending order.
    #[must_use]
    pub fn base(&self) -> Vec<u32> {
        let mut base: Vec<u32> = self.in_base.iter().copied().collect();
        base.sort_unstable();
        base
    }

    /// Returns repositories of the destination that have a piece of content of the base, according to that. There can be
    /// others.
    pub fn base_holders(&self, number: u32) -> impl Iterator<Item = &BundleName> {
        let holders = self.base.iter();
        holders.filter_map(move |(name, has)| has.binary_search(&number).ok().map(|_| name))
    }

    /// Returns the numbers of what a repository of the bundle needs, manifests and blobs, in ascending order.
    #[must_use]
    pub fn needed_by(&self, repository: &RepositoryContents) -> Vec<u32> {
        let mut needed = self.lock.blobs_of(repository);
        needed.extend(&repository.manifests);
        needed.sort_unstable();
        needed
    }

    pub(super) fn node(&self, number: u32) -> Result<&ContentNode> {
        self.lock
            .get(number)
            .ok_or_else(|| invalid(format!("content {number} is not listed")))
    }

    /// Returns the numbers of the manifests that each volume has, in ascending order.
    pub(super) fn stored_manifests(&self) -> impl Iterator<Item = (u32, &ContentNode)> {
        let nodes = (0_u32..).zip(self.lock.contents());
        nodes.filter(|(number, node)| node.is_manifest() && !self.in_base.contains(number))
    }

    /// Returns the name of a piece of content and of an image that needs it, for messages.
    pub(super) fn describe(&self, number: u32) -> String {
        let Some(node) = self.lock.get(number) else {
            return "unknown content".into();
        };
        match Owners::of(&self.lock).name(number) {
            Some(image) => format!("{} of {image}", node.digest),
            None => node.digest.to_string(),
        }
    }
}

/// Finds out where each blob is, and checks that each is in the volumes once and whole, unless it is in the base.
fn locate(
    lock: &Lock,
    in_base: &HashSet<u32>,
    parts: &[Vec<(u32, u64, u64)>],
) -> Result<HashMap<u32, Vec<BlobPart>>> {
    let mut locations: HashMap<u32, Vec<BlobPart>> = HashMap::new();
    for (volume, listed) in (1_u32..).zip(parts) {
        for (number, offset, length) in listed.iter().copied() {
            let node = lock.get(number).filter(|node| !node.is_manifest());
            let Some(node) = node.filter(|_| !in_base.contains(&number)) else {
                return Err(invalid(format!(
                    "volume {volume} lists content that it cannot have"
                )));
            };
            let parts = locations.entry(number).or_default();
            let begin = parts.last().map_or(0, |part| part.offset + part.length);
            let is_next = offset == begin && (length > 0 || node.size == 0);
            let fits = offset
                .checked_add(length)
                .is_some_and(|end| end <= node.size);
            let is_first_in_volume = parts.last().is_none_or(|part| part.volume < volume);
            if !(is_next && fits && is_first_in_volume) {
                return Err(invalid(format!(
                    "the parts of {} do not follow each other",
                    node.digest
                )));
            }
            parts.push(BlobPart {
                volume,
                offset,
                length,
            });
        }
    }
    for (number, node) in (0_u32..).zip(lock.contents()) {
        if node.is_manifest() || in_base.contains(&number) {
            continue;
        }
        let end = locations.get(&number).and_then(|parts| parts.last());
        if end.map(|part| part.offset + part.length) != Some(node.size) {
            return Err(invalid(format!("no volume has the end of {}", node.digest)));
        }
    }
    Ok(locations)
}
