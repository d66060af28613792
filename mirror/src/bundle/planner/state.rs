//! The repositories, manifests and blobs that a planner has recorded.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tranship::{
    Capabilities, Descriptor, Digest, MediaType, RegistryIdentity, Repository, Support, Tag,
};

use super::super::graph::Key;
use super::super::kept::KeptManifests;
use super::super::lock::Lock;
use super::super::name::BundleName;

/// What all repositories of a planner share.
pub(in crate::bundle) struct Shared {
    pub(in crate::bundle) identity: RegistryIdentity,
    pub(in crate::bundle) base: Option<Arc<Lock>>,
    pub(in crate::bundle) kept: KeptManifests,
    pub(in crate::bundle) state: Mutex<State>,
}

/// The repositories, manifests and blobs that were copied until now.
#[derive(Default)]
pub(in crate::bundle) struct State {
    pub(in crate::bundle) repositories: BTreeMap<BundleName, PlannedRepository>,
    pub(in crate::bundle) manifests: HashMap<Digest, PlannedManifest>,
    pub(in crate::bundle) blobs: HashMap<Digest, PlannedBlob>,
}

#[derive(Default)]
pub(in crate::bundle) struct PlannedRepository {
    pub(in crate::bundle) tags: BTreeMap<Tag, Digest>,
    pub(in crate::bundle) manifests: BTreeSet<Digest>,
    pub(in crate::bundle) blobs: BTreeSet<Digest>,
    /// Manifests that the base has in this repository.
    pub(in crate::bundle) in_base: BTreeSet<Digest>,
    /// Whether images that were chosen could not be copied.
    pub(in crate::bundle) is_incomplete: bool,
}

/// A manifest whose content is kept.
pub(in crate::bundle) struct PlannedManifest {
    pub(in crate::bundle) descriptor: Descriptor,
    pub(in crate::bundle) successors: Vec<(Key, u64)>,
    pub(in crate::bundle) subject: Option<Digest>,
    pub(in crate::bundle) artifact_type: Option<MediaType>,
}

/// A blob, and where it can be read.
pub(in crate::bundle) struct PlannedBlob {
    pub(in crate::bundle) size: u64,
    pub(in crate::bundle) origins: BTreeMap<BundleName, Arc<dyn Repository>>,
}

/// Returns what a repository of a planned bundle can do.
pub(super) fn capabilities() -> Capabilities {
    const NO: Support = Support::No("a bundle that is planned only records what is copied to it");
    Capabilities::all()
        .with_range(NO)
        .with_mount(NO)
        .with_uploads(NO)
        .with_referrers(NO)
        .with_delete_blobs(NO)
        .with_delete_manifests(NO)
        .with_untag(NO)
}

impl Shared {
    pub(in crate::bundle) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
