//! Copies what a bundle has of one repository.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use tranship::{
    CopyAction, CopyOptions, CopyReport, Descriptor, ErrorKind, Repository, RepositoryName, Result,
    ResultExt as _, Tag, TagOrDigest, blocking, copy, copy_graph,
};

use super::super::name::BundleName;
use super::super::node::RepositoryContents;
use super::super::opened::OpenBundle;
use super::super::repository::BundleRepository;
use super::options::{AppliedImage, ApplyReport, PendingImage};
use super::saved;
use super::source::{ApplyHooks, ApplySource, Shared};

/// Copies one repository.
pub(super) struct Applier<'a> {
    shared: &'a Shared<'a>,
    bundle: &'a Arc<OpenBundle>,
    name: &'a BundleName,
    repository: RepositoryName,
    contents: &'a RepositoryContents,
    from: ApplySource<'a>,
    to: Arc<dyn Repository>,
    options: CopyOptions,
    /// Blobs of other volumes that the destination was asked for.
    known: HashMap<u32, bool>,
    /// Blobs that are copied as far as possible, for images that are pending.
    copied: HashSet<u32>,
}

impl<'a> Applier<'a> {
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
        let hooks = ApplyHooks {
            contents: Arc::clone(&bundle.contents),
            repository: repository.clone(),
            holders,
            stored: Arc::clone(&shared.stored),
            inner: shared.options.copy.hooks.clone(),
        };
        let mut options = shared.options.copy.clone();
        // What the bundle has of each manifest was decided when it was planned.
        options.platform = None;
        options.platforms = None;
        options.include_non_distributable = true;
        options.hooks = Some(Arc::new(hooks));
        Ok(Some(Self {
            to: shared.destination.repository(&repository).await?,
            from: ApplySource {
                shared,
                bundle: Arc::new(view),
            },
            shared,
            bundle,
            name,
            repository,
            contents,
            options,
            known: HashMap::new(),
            copied: HashSet::new(),
        }))
    }

    pub(super) async fn run(&mut self, report: &mut ApplyReport) -> Result<()> {
        let mut followed = 0;
        for (number, tags) in self.roots() {
            let digest = self.bundle.contents.node(number)?.digest;
            let lock = &self.bundle.contents.lock;
            let needed = lock.closure(self.contents, number, &mut followed)?;
            let volumes = self.missing_volumes(number, &needed).await?;
            if volumes.is_empty() {
                let changed = self.copy(number, &tags, report).await?;
                self.note_stored(&needed).await?;
                report.applied.push(AppliedImage {
                    name: self.name.clone(),
                    repository: self.repository.clone(),
                    tags,
                    digest,
                    changed,
                });
            } else {
                self.copy_blobs(&needed, report).await?;
                report.pending.push(PendingImage {
                    name: self.name.clone(),
                    tags,
                    digest,
                    volumes: volumes.into_iter().collect(),
                });
            }
        }
        Ok(())
    }

    /// Returns the manifests to copy, with their tags: first those with tags, then those that no other manifest of the
    /// repository leads to.
    fn roots(&self) -> Vec<(u32, Vec<Tag>)> {
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

    /// Returns the volumes that have content of an image which neither the open ones nor the destination have.
    async fn missing_volumes(&mut self, root: u32, needed: &[u32]) -> Result<BTreeSet<u32>> {
        let mut missing = BTreeSet::new();
        let absent = |number: &&u32| {
            !self.bundle.has(**number) && !self.bundle.contents.is_in_base(**number)
        };
        let absent: Vec<u32> = needed.iter().filter(absent).copied().collect();
        if absent.is_empty() {
            return Ok(missing);
        }
        let descriptor = self.bundle.contents.node(root)?.descriptor();
        if self
            .to
            .exists(&descriptor)
            .await
            .during("look for", descriptor.digest())?
        {
            return Ok(missing);
        }
        for number in absent {
            let is_stored = match self.known.get(&number) {
                Some(known) => *known,
                None => {
                    let descriptor = self.bundle.contents.node(number)?.descriptor();
                    let found = self.to.blobs().exists(&descriptor).await;
                    let found = found.during("look for", descriptor.digest())?;
                    self.known.insert(number, found);
                    found
                }
            };
            if !is_stored {
                missing.extend(self.bundle.missing_volumes(number));
            }
        }
        Ok(missing)
    }

    /// Copies an image and sets its tags; returns whether that changed anything.
    async fn copy(&self, number: u32, tags: &[Tag], report: &mut ApplyReport) -> Result<bool> {
        let root = self.bundle.contents.node(number)?.descriptor();
        if self.bundle.contents.is_in_base(number) {
            return self.tag(&root, tags).await;
        }
        let mut changed = false;
        for tag in tags {
            changed |= !self.names(tag, &root).await?;
        }
        let reference = TagOrDigest::Digest(*root.digest());
        let copied = copy(&self.from, &reference, &*self.to, tags, &self.options).await?;
        changed |= count(&copied, report);
        Ok(changed)
    }

    /// Points tags at a manifest that the destination has.
    async fn tag(&self, root: &Descriptor, tags: &[Tag]) -> Result<bool> {
        let mut changed = false;
        for tag in tags {
            if self.names(tag, root).await? {
                continue;
            }
            changed = true;
            if !self.options.dry_run {
                self.to.tag(root, tag).await.during("tag", tag)?;
            }
        }
        Ok(changed)
    }

    async fn names(&self, tag: &Tag, root: &Descriptor) -> Result<bool> {
        match self.to.resolve(&tag.clone().into()).await {
            Ok(found) => Ok(found.same_content(root)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::SizeMismatch) => {
                Ok(false)
            }
            Err(error) => Err(error).during("resolve", tag),
        }
    }

    /// Copies the blobs of a pending image that are in the open volumes, and saves parts of others.
    async fn copy_blobs(&mut self, needed: &[u32], report: &mut ApplyReport) -> Result<()> {
        for number in needed {
            let node = self.bundle.contents.node(*number)?;
            let is_here = !node.is_manifest() && !self.bundle.contents.is_in_base(*number);
            if !is_here || !self.copied.insert(*number) {
                continue;
            }
            if self.bundle.has(*number) {
                let copied =
                    copy_graph(&self.from, &node.descriptor(), &*self.to, &self.options).await?;
                count(&copied, report);
                self.note_stored(&[*number]).await?;
            } else if let Some(directory) = &self.shared.options.parts
                && !self.options.dry_run
            {
                let (directory, bundle, number) =
                    (directory.clone(), Arc::clone(self.bundle), *number);
                blocking::run(move || saved::save(&directory, &bundle, number)).await?;
            }
        }
        Ok(())
    }

    /// Notes that the repository has these blobs, so that others can mount them, and that no saved parts are needed.
    async fn note_stored(&self, needed: &[u32]) -> Result<()> {
        if self.options.dry_run {
            return Ok(());
        }
        let contents = &self.bundle.contents;
        let blobs = needed.iter().filter(|number| {
            let node = contents.lock.get(**number);
            node.is_some_and(|node| !node.is_manifest())
        });
        let blobs: Vec<u32> = blobs.copied().collect();
        {
            let mut stored = self
                .shared
                .stored
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            for number in &blobs {
                stored
                    .entry(*number)
                    .or_insert_with(|| self.repository.clone());
            }
        }
        let Some(directory) = &self.shared.options.parts else {
            return Ok(());
        };
        for number in blobs
            .into_iter()
            .filter(|number| contents.parts_of(*number).len() > 1)
        {
            // Another repository may need the blob as well, and mounts it from this one.
            let (directory, contents) = (directory.clone(), Arc::clone(contents));
            blocking::run(move || saved::remove(&directory, &contents, number)).await?;
        }
        Ok(())
    }
}

/// Adds what a copy did to a report; returns whether it did anything.
fn count(copied: &CopyReport, report: &mut ApplyReport) -> bool {
    report.copied_bytes += copied.bytes(CopyAction::Copied);
    report.mounted_bytes += copied.bytes(CopyAction::Mounted);
    copied.count(CopyAction::Copied) + copied.count(CopyAction::Mounted) > 0
}
