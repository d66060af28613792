//! What a bundle will have, known before any blob is read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::Bytes;
use tranship::{ContentKind, Error, ErrorKind, Repository, Result, ResultExt as _};

use super::contents::BundleContents;
use super::decode::{MAX_ENCODED, all_blobs};
use super::graph::{self, Key, UnnumberedNode, UnnumberedRepository};
use super::index::{self, ManifestFacts};
use super::kept::KeptManifests;
use super::lock::{ContentNode, Lock, RepositoryContents, invalid};
use super::members::{self, BUNDLE, INDEX, OCI_LAYOUT, OCI_LAYOUT_CONTENT};
use super::name::BundleName;
use super::packing::{self, Packed, Volumes};
use super::planner::{BundlePlanner, State};
use super::tar_header::{BLOCK, TRAILER, member_length};

/// How a bundle is laid out.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlanOptions {
    /// The most bytes of each file; `None`, the default, for one file of any size.
    pub volume_size: Option<NonZeroU64>,
}

impl PlanOptions {
    /// Sets [`volume_size`](Self::volume_size), in bytes.
    #[must_use]
    pub fn with_volume_size(mut self, bytes: NonZeroU64) -> Self {
        self.volume_size = Some(bytes);
        self
    }
}

/// How much a planned bundle has.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlanTotals {
    /// The number of repositories.
    pub repositories: u64,
    /// The number of tags, and of images without a tag.
    pub images: u64,
    /// The number of manifests in the bundle.
    pub manifests: u64,
    /// The number of blobs in the bundle.
    pub blobs: u64,
    /// The bytes of these manifests and blobs, each once.
    pub bytes: u64,
    /// The number of manifests and blobs that are left out because the base has them.
    pub in_base: u64,
    /// The bytes of these.
    pub bytes_in_base: u64,
    /// The bytes of all volumes.
    pub file_bytes: u64,
    /// The number of volumes.
    pub volumes: u32,
}

/// What a bundle will have, known before any blob is read.
pub struct Plan {
    pub(super) contents: Arc<BundleContents>,
    pub(super) is_split: bool,
    /// The length of the description of the first volume, in bytes.
    description: u64,
    pub(super) index: Bytes,
    pub(super) manifests: KeptManifests,
    pub(super) origins: HashMap<u32, Vec<Arc<dyn Repository>>>,
    totals: PlanTotals,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("set", &self.contents.set)
            .field("totals", &self.totals)
            .finish_non_exhaustive()
    }
}

impl Plan {
    /// Returns what the bundle will have.
    #[must_use]
    pub fn contents(&self) -> &BundleContents {
        &self.contents
    }

    /// Returns how much the bundle will have.
    #[must_use]
    pub fn totals(&self) -> PlanTotals {
        self.totals
    }

    /// Returns the size of a volume in bytes.
    pub(super) fn volume_length(&self, volume: u32) -> u64 {
        let contents = &self.contents;
        let digits = u64::from(volume.checked_ilog10().unwrap_or(0));
        let fixed = fixed_length(contents, self.description + digits, self.index.len() as u64);
        let position = usize::try_from(volume - 1).unwrap_or(usize::MAX);
        let parts = contents.parts.get(position).into_iter().flatten();
        let blobs = parts.filter_map(|(number, offset, length)| {
            let node = contents.lock.get(*number)?;
            Some(blob_length(node, *offset, *length))
        });
        fixed + blobs.sum::<u64>() + TRAILER.len() as u64
    }
}

/// Returns how many bytes the members of a blob, or of a part of it, take.
pub(super) fn blob_length(node: &ContentNode, offset: u64, length: u64) -> u64 {
    if length == node.size {
        return member_length(&members::blob(&node.digest), length);
    }
    member_length(&members::part_name(&node.digest, offset), length)
        + member_length(&members::sum_name(&node.digest, offset), members::SUM_SIZE)
}

/// Returns how many bytes the members take that each volume has.
fn fixed_length(contents: &BundleContents, description: u64, index: u64) -> u64 {
    let manifests = contents.stored_manifests();
    let manifests =
        manifests.map(|(_, node)| member_length(&members::blob(&node.digest), node.size));
    member_length(BUNDLE, description)
        + member_length(OCI_LAYOUT, OCI_LAYOUT_CONTENT.len() as u64)
        + member_length(INDEX, index)
        + manifests.sum::<u64>()
}

impl BundlePlanner {
    /// Returns what a bundle of everything that was copied has, as it is now.
    ///
    /// # Errors
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if the volumes are too small; the message says how large they must
    ///   be.
    /// - [`SizeExceedsLimit`](ErrorKind::SizeExceedsLimit) if there are more than a million pieces of content, or the
    ///   description of the bundle has more than 64 MiB.
    /// - [`SizeMismatch`](ErrorKind::SizeMismatch) if two manifests disagree about the size of a blob.
    pub async fn plan(&self, options: &PlanOptions) -> Result<Plan> {
        let planner = self.clone();
        let options = *options;
        let planned = tranship::blocking::run(move || make(&planner, &options)).await;
        planned.during("plan", "the bundle")
    }
}

fn make(planner: &BundlePlanner, options: &PlanOptions) -> Result<Plan> {
    let state = planner.lock();
    let empty = Lock::default();
    let base: &Lock = planner.base().map_or(&empty, |base| base);
    let lock = number(&state, base)?;
    let mut in_base = HashSet::new();
    let mut origins = HashMap::new();
    for (number, node) in (0_u32..).zip(lock.contents()) {
        if node.is_manifest() {
            if !state.manifests.contains_key(&node.digest) {
                in_base.insert(number);
            }
        } else if is_in(base, (node.digest, false), node.size) {
            in_base.insert(number);
        } else {
            let blob = state.blobs.get(&node.digest);
            let blob = blob.ok_or_else(|| invalid(format!("{} has no source", node.digest)))?;
            origins.insert(number, blob.origins.values().cloned().collect());
        }
    }
    let facts = state.manifests.iter().map(|(digest, manifest)| {
        let facts = ManifestFacts {
            subject: manifest.subject,
            artifact_type: manifest.artifact_type.clone(),
        };
        (*digest, facts)
    });
    let index = index::encode(&lock, &in_base, &facts.collect())?;
    let holders = holders(&lock, base, &in_base);
    let contents = lay_out(lock, holders, &index, options)?;
    let description = contents.encode(1).len() as u64;
    if description > MAX_ENCODED {
        let message = format!("the description of the bundle has more than {MAX_ENCODED} bytes");
        return Err(Error::new(ErrorKind::SizeExceedsLimit, message)
            .with_hint("make several bundles of fewer images"));
    }
    let mut plan = Plan {
        totals: PlanTotals::default(),
        contents: Arc::new(contents),
        is_split: options.volume_size.is_some(),
        description,
        index,
        manifests: planner.kept().clone(),
        origins,
    };
    plan.totals = totals(&plan);
    Ok(plan)
}

/// Numbers everything that was copied, and what of the base it needs.
fn number(state: &State, base: &Lock) -> Result<Lock> {
    let mut nodes: HashMap<Key, UnnumberedNode> = HashMap::new();
    let mut wanted: Vec<Key> = Vec::new();
    for (digest, manifest) in &state.manifests {
        let children = manifest.successors.iter().map(|(key, _)| *key);
        let node = UnnumberedNode {
            size: manifest.descriptor.size(),
            media_type: Some(manifest.descriptor.media_type().clone()),
            children: children.collect(),
        };
        nodes.insert((*digest, true), node);
        for (key, size) in &manifest.successors {
            if is_in(base, *key, *size) {
                wanted.push(*key);
            }
        }
    }
    for (digest, blob) in &state.blobs {
        let node = UnnumberedNode {
            size: blob.size,
            media_type: None,
            children: Vec::new(),
        };
        nodes.insert((*digest, false), node);
    }
    for repository in state.repositories.values() {
        wanted.extend(repository.in_base.iter().map(|digest| (*digest, true)));
    }
    while let Some(key) = wanted.pop() {
        if nodes.contains_key(&key) {
            continue;
        }
        let Some(node) = node_in(base, key) else {
            continue;
        };
        let children = node.children.iter().filter_map(|child| {
            let child = base.get(*child)?;
            Some((child.digest, child.is_manifest()))
        });
        let children: Vec<Key> = children.collect();
        wanted.extend(&children);
        let node = UnnumberedNode {
            size: node.size,
            media_type: node.media_type.clone(),
            children,
        };
        nodes.insert(key, node);
    }
    let mut repositories = BTreeMap::new();
    let mut followed = 0;
    for (name, planned) in &state.repositories {
        if planned.manifests.is_empty() && planned.in_base.is_empty() {
            continue;
        }
        let mut repository = UnnumberedRepository {
            tags: planned.tags.clone(),
            manifests: planned.manifests.clone(),
        };
        let none = RepositoryContents::default();
        let before = base.repositories().get(name).unwrap_or(&none);
        for digest in &planned.in_base {
            let Some(root) = base.number(ContentKind::Manifest, digest) else {
                continue;
            };
            let below = base.closure(before, root, &mut followed)?;
            let below = below.into_iter().filter_map(|number| base.get(number));
            let manifests = below
                .filter(|node| node.is_manifest())
                .map(|node| node.digest);
            repository.manifests.extend(manifests);
        }
        repositories.insert(name.clone(), repository);
    }
    graph::number(&nodes, &repositories)
}

fn node_in(base: &Lock, (digest, is_manifest): Key) -> Option<&ContentNode> {
    let kind = match is_manifest {
        true => ContentKind::Manifest,
        false => ContentKind::Blob,
    };
    base.get(base.number(kind, &digest)?)
}

fn is_in(base: &Lock, key: Key, size: u64) -> bool {
    node_in(base, key).is_some_and(|node| node.size == size)
}

/// Returns which repositories of the base have what is not in the bundle: those that need it in the bundle, too, and two
/// others.
fn holders(lock: &Lock, base: &Lock, in_base: &HashSet<u32>) -> BTreeMap<BundleName, Vec<u32>> {
    const OTHERS: usize = 2;
    let mut holders: BTreeMap<BundleName, Vec<u32>> = BTreeMap::new();
    let mut others: HashMap<u32, usize> = HashMap::new();
    for (name, before) in base.repositories() {
        let needed: HashSet<u32> = match lock.repositories().get(name) {
            Some(repository) => {
                let blobs = lock.blobs_of(repository);
                blobs
                    .into_iter()
                    .chain(repository.manifests.iter().copied())
                    .collect()
            }
            None => HashSet::new(),
        };
        let mut has = base.blobs_of(before);
        has.extend(&before.manifests);
        for number in has {
            let Some(node) = base.get(number) else {
                continue;
            };
            let Some(number) = lock.number(node.kind(), &node.digest) else {
                continue;
            };
            if !in_base.contains(&number) {
                continue;
            }
            let others = others.entry(number).or_default();
            if needed.contains(&number) || *others < OTHERS {
                *others += usize::from(!needed.contains(&number));
                holders.entry(name.clone()).or_default().push(number);
            }
        }
    }
    for numbers in holders.values_mut() {
        numbers.sort_unstable();
        numbers.dedup();
    }
    holders
}

fn lay_out(
    lock: Lock,
    holders: BTreeMap<BundleName, Vec<u32>>,
    index: &Bytes,
    options: &PlanOptions,
) -> Result<BundleContents> {
    let sum = (tranship::Digest::of(index), index.len() as u64);
    let whole = all_blobs(&lock, &holders);
    let blobs = whole.iter().filter_map(|(number, _, size)| {
        Some(Packed {
            number: *number,
            digest: lock.get(*number)?.digest,
            size: *size,
        })
    });
    let blobs: Vec<Packed> = blobs.collect();
    let one = BundleContents::new(lock, holders, vec![whole], Some(sum))?;
    let Some(limit) = options.volume_size else {
        return Ok(one);
    };
    let with_parts = |volumes: &Volumes| {
        let (lock, holders) = (one.lock.clone(), one.base.clone());
        BundleContents::new(lock, holders, volumes.clone(), Some(sum))
    };
    // Of the bundle without its parts, which are added for each way to distribute them.
    let unpacked = fixed_length(&one, 0, sum.1);
    let description = one.encode(1).len() as u64;
    let fixed = |volumes: &Volumes| {
        let description = description + parts_length(volumes, &one);
        Ok(unpacked + description.next_multiple_of(BLOCK))
    };
    match packing::pack_all(&blobs, limit.get(), fixed)? {
        Some(volumes) if volumes.len() == 1 => Ok(one),
        Some(volumes) => with_parts(&volumes),
        None => Err(packing::too_small(&blobs, limit.get(), fixed)?),
    }
}

/// Returns at most how many bytes a description grows by the parts of several volumes.
fn parts_length(volumes: &Volumes, contents: &BundleContents) -> u64 {
    if volumes.len() == 1 {
        return 0;
    }
    let digits = |number: u64| u64::from(number.checked_ilog10().unwrap_or(0)) + 1;
    // The two numbers of the volume.
    let numbers = 2 * digits(volumes.len() as u64);
    let entry = |(number, offset, length): &(u32, u64, u64)| {
        let is_whole = contents
            .lock
            .get(*number)
            .is_some_and(|node| node.size == *length);
        let number = digits(u64::from(*number)) + 1;
        match is_whole {
            true => number,
            false => number + digits(*offset) + digits(*length) + 4,
        }
    };
    let entries = volumes
        .iter()
        .map(|volume| volume.iter().map(entry).sum::<u64>() + 4);
    numbers + 16 + entries.sum::<u64>()
}

fn totals(plan: &Plan) -> PlanTotals {
    let contents = &plan.contents;
    let mut totals = PlanTotals {
        repositories: contents.lock.repositories().len() as u64,
        images: contents.lock.images().count() as u64,
        volumes: contents.volumes,
        ..PlanTotals::default()
    };
    for (number, node) in (0_u32..).zip(contents.lock.contents()) {
        if contents.is_in_base(number) {
            totals.in_base += 1;
            totals.bytes_in_base += node.size;
            continue;
        }
        totals.bytes += node.size;
        match node.kind() {
            ContentKind::Manifest => totals.manifests += 1,
            ContentKind::Blob => totals.blobs += 1,
        }
    }
    totals.file_bytes = (1..=contents.volumes)
        .map(|volume| plan.volume_length(volume))
        .sum();
    totals
}
