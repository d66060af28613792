//! A repository of a bundle, and its counterpart at the destination.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use tranship::{
    ContentKind, CopyOptions, Digest, Existing, Repository, RepositoryName, Result, ResultExt as _,
    Tag,
};

use super::super::name::BundleName;
use super::super::node::RepositoryContents;
use super::super::opened::OpenBundle;
use super::super::repository::BundleRepository;
use super::hooks::ApplyHooks;
use super::source::{ApplySource, Shared};
use crate::jobs::SharingHooks;

/// A repository whose images are copied.
pub(super) struct RepositoryCopy<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) bundle: &'a Arc<OpenBundle>,
    pub(super) name: &'a BundleName,
    pub(super) repository: RepositoryName,
    pub(super) from: ApplySource<'a>,
    pub(super) to: Arc<dyn Repository>,
    contents: &'a RepositoryContents,
    /// Where content of the base is, by its number.
    holders: Arc<HashMap<u32, Vec<RepositoryName>>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How much of the graph was followed.
    followed: u64,
    /// Blobs of other volumes that the destination was asked for.
    known: HashMap<u32, bool>,
    /// Blobs that are copied as far as possible, for images that are pending.
    claimed: HashSet<u32>,
}

impl<'a> RepositoryCopy<'a> {
    pub(super) async fn new(
        shared: &'a Shared<'a>,
        bundle: &'a Arc<OpenBundle>,
        name: &'a BundleName,
        repository: RepositoryName,
    ) -> Result<Option<Self>> {
        let Some(contents) = bundle.contents.lock.repositories().get(name) else {
            return Ok(None);
        };
        let view = BundleRepository::new(Arc::clone(bundle), name.flattened(), contents.clone());
        let mut holders = HashMap::new();
        for number in bundle.contents.lock.blobs_of(contents) {
            if bundle.contents.is_in_base(number) {
                holders.insert(number, shared.holders(number)?);
            }
        }
        let to = shared.destination.repository(&repository).await?;
        Ok(Some(Self {
            from: ApplySource {
                shared,
                bundle: Arc::new(view),
                to: Arc::clone(&to),
            },
            to,
            shared,
            bundle,
            name,
            repository,
            contents,
            holders: Arc::new(holders),
            state: Mutex::default(),
        }))
    }

    /// Returns the manifests to copy, with their tags: first those with tags, then those that no other manifest of the
    /// repository leads to.
    pub(super) fn roots(&self) -> Vec<(u32, Vec<Tag>)> {
        let mut tags: BTreeMap<u32, Vec<Tag>> = BTreeMap::new();
        for (tag, number) in &self.contents.tags {
            tags.entry(*number).or_default().push(tag.clone());
        }
        let lock = &self.bundle.contents.lock;
        let nodes = self
            .contents
            .manifests
            .iter()
            .filter_map(|number| lock.get(*number));
        let below: HashSet<u32> = nodes
            .flat_map(|node| node.children.iter().copied())
            .collect();
        let is_root = |number: &&u32| !below.contains(number) && !tags.contains_key(number);
        let others = self.contents.manifests.iter().filter(is_root);
        let others: Vec<_> = others.map(|number| (*number, Vec::new())).collect();
        tags.into_iter().chain(others).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns everything that a manifest leads to.
    pub(super) fn needed(&self, root: u32) -> Result<Vec<u32>> {
        let lock = &self.bundle.contents.lock;
        lock.closure(self.contents, root, &mut self.lock().followed)
    }

    /// Returns whether a blob is to be copied now for images that are pending: once for all of them.
    pub(super) fn claim_for_pending(&self, blob: u32) -> bool {
        self.lock().claimed.insert(blob)
    }

    /// Returns whether the destination has a blob that is in other volumes.
    pub(super) async fn is_stored(&self, blob: u32) -> Result<bool> {
        if let Some(known) = self.lock().known.get(&blob).copied() {
            return Ok(known);
        }
        let descriptor = self.bundle.contents.node(blob)?.descriptor();
        let found = self.to.blobs().exists(&descriptor).await;
        let found = found.during("look for", descriptor.digest())?;
        self.lock().known.insert(blob, found);
        Ok(found)
    }

    /// Returns the hooks for the next copy.
    pub(super) fn hooks(&self) -> Arc<ApplyHooks> {
        let copy = self.shared.next_copy.fetch_add(1, Ordering::Relaxed);
        let is_dry = self.shared.options.copy.dry_run;
        Arc::new(ApplyHooks {
            contents: Arc::clone(&self.bundle.contents),
            repository: self.repository.clone(),
            holders: Arc::clone(&self.holders),
            sharing: SharingHooks::new(&self.shared.blobs, copy, &*self.to, is_dry, None),
            inner: self.shared.options.copy.hooks.clone(),
        })
    }

    /// Returns how a copy with these hooks is made.
    pub(super) fn copy_options(&self, hooks: &Arc<ApplyHooks>) -> CopyOptions {
        let mut options = self.shared.options.copy.clone();
        // What the bundle has of each manifest was decided when it was planned.
        options.platform = None;
        options.platforms = None;
        options.include_non_distributable = true;
        // An index may be there with other platforms, and a manifest after a bundle that did not list all of its content.
        options.existing = Existing::Check;
        options.hooks = Some(Arc::clone(hooks) as _);
        options
    }

    /// Notes that the repository has this content, so that others can mount the blobs and no saved parts of them are
    /// needed.
    pub(super) fn note_stored(&self, hooks: &ApplyHooks, stored: &[u32]) {
        if self.shared.options.copy.dry_run {
            return;
        }
        hooks.sharing.succeeded();
        let contents = &self.bundle.contents;
        let blobs: Vec<(u32, Digest)> = stored
            .iter()
            .filter_map(|number| Some((*number, contents.lock.get(*number)?)))
            .filter(|(_, node)| node.kind() == ContentKind::Blob)
            .map(|(number, node)| (number, *node.digest()))
            .collect();
        hooks.sharing.has(blobs.iter().map(|(_, digest)| *digest));
        let completed = &self.shared.completed;
        let mut completed = completed.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers = blobs.into_iter().map(|(number, _)| number);
        completed.extend(numbers.filter(|number| contents.parts_of(*number).len() > 1));
    }
}
