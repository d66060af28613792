//! What a bundle will have, known before any blob is read.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::Bytes;
use tranship::{ContentKind, Error, ErrorKind, Repository, Result, ResultExt as _};
use tranship_tar::TRAILER;

use super::base::{holders, is_in, number};
use super::contents::BundleContents;
use super::decode::MAX_ENCODED;
use super::index::{self, ManifestFacts};
use super::kept::KeptManifests;
use super::lay_out::{blob_length, fixed_length, lay_out};
use super::lock::Lock;
use super::node::invalid;
use super::planner::BundlePlanner;

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

impl BundlePlanner {
    /// Returns the plan of a bundle of all images that were copied until now.
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
    let contents = lay_out(lock, holders, &index, options.volume_size)?;
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
