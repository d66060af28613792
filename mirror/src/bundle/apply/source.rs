//! A repository of a bundle, as the source of its copy to the destination.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tranship::{
    Backend, ByteRange, Content, ContentKind, CopyEvent, CopyHooks, Descriptor, PreCopy, Registry,
    Repository, RepositoryName, Result,
};

use super::super::contents::BundleContents;
use super::super::graph::key_of;
use super::super::node::ContentNode;
use super::options::ApplyOptions;

/// What all repositories of one application share.
pub(super) struct Shared<'a> {
    pub(super) contents: Arc<BundleContents>,
    pub(super) destination: &'a dyn Registry,
    pub(super) options: &'a ApplyOptions,
    /// Repositories of the destination that have blobs, by their numbers.
    pub(super) stored: Arc<Mutex<HashMap<u32, RepositoryName>>>,
}

impl Shared<'_> {
    /// Returns repositories of the destination that have content of the base.
    pub(super) fn holders(&self, number: u32) -> Result<Vec<RepositoryName>> {
        let holders = self.contents.base_holders(number);
        holders.map(|name| self.options.rename(name)).collect()
    }

    /// Opens content of the base at the destination.
    async fn read_base(&self, number: u32, range: Option<ByteRange>) -> Result<Option<Content>> {
        let descriptor = self.contents.node(number)?.descriptor();
        for holder in self.holders(number)? {
            let repository = self.destination.repository(&holder).await?;
            let blobs = repository.blobs();
            let opened = match range {
                None => blobs.fetch(&descriptor).await,
                Some(range) => blobs.fetch_range(&descriptor, range).await,
            };
            match opened {
                Err(error) if error.is_not_found() => {}
                outcome => return outcome.map(Some),
            }
        }
        Ok(None)
    }
}

/// A repository of the bundle. Blobs that only the base has are read from the destination, for a repository of it that
/// cannot mount them from another one.
pub(super) struct ApplySource<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) bundle: Arc<dyn Repository>,
}

impl fmt::Debug for ApplySource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ApplySource").field(&self.bundle).finish()
    }
}

impl ApplySource<'_> {
    async fn read_base(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        range: Option<ByteRange>,
    ) -> Result<Option<Content>> {
        let contents = &self.shared.contents;
        let number = contents.lock.number(kind, target.digest());
        match number.filter(|number| kind == ContentKind::Blob && contents.is_in_base(*number)) {
            Some(number) => self.shared.read_base(number, range).await,
            None => Ok(None),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Backend for ApplySource<'_> {
    async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
        match self.read_base(kind, target, None).await? {
            Some(content) => Ok(content),
            None => self.bundle.read(kind, target).await,
        }
    }

    async fn read_range(
        &self,
        kind: ContentKind,
        target: &Descriptor,
        range: ByteRange,
    ) -> Result<Content> {
        match self.read_base(kind, target, Some(range)).await? {
            Some(content) => Ok(content),
            None => self.bundle.read_range(kind, target, range).await,
        }
    }

    tranship::forward_backend!(self, self.bundle;
        info stat write read_reference find mount_blob remove set_tag remove_tag list_tags
        list_referrers list_predecessors start_upload resume_upload begin_batch prepare_for_pushes);
}

/// Says what is copied of a manifest, and where blobs can be mounted from; and passes everything on to the hooks of the
/// caller.
pub(super) struct ApplyHooks {
    pub(super) contents: Arc<BundleContents>,
    pub(super) repository: RepositoryName,
    /// Where content of the base is, by its number.
    pub(super) holders: HashMap<u32, Vec<RepositoryName>>,
    pub(super) stored: Arc<Mutex<HashMap<u32, RepositoryName>>>,
    pub(super) inner: Option<Arc<dyn CopyHooks>>,
}

#[async_trait]
impl CopyHooks for ApplyHooks {
    async fn successors(
        &self,
        node: &Descriptor,
        found: Vec<Descriptor>,
    ) -> Result<Vec<Descriptor>> {
        let lock = &self.contents.lock;
        let number = lock.number(ContentKind::Manifest, node.digest());
        let children = number.and_then(|number| lock.get(number));
        let children = children.map_or(&[][..], ContentNode::children);
        let children: HashSet<u32> = children.iter().copied().collect();
        let is_child = |descriptor: &Descriptor| {
            let (digest, is_manifest) = key_of(descriptor);
            let kind = match is_manifest {
                true => ContentKind::Manifest,
                false => ContentKind::Blob,
            };
            lock.number(kind, &digest)
                .is_some_and(|number| children.contains(&number))
        };
        let kept = found.into_iter().filter(is_child).collect();
        match &self.inner {
            Some(inner) => inner.successors(node, kept).await,
            None => Ok(kept),
        }
    }

    async fn mount_from(&self, node: &Descriptor) -> Result<Vec<RepositoryName>> {
        let mut from = match &self.inner {
            Some(inner) => inner.mount_from(node).await?,
            None => Vec::new(),
        };
        let number = self.contents.lock.number(ContentKind::Blob, node.digest());
        if let Some(number) = number {
            from.extend(self.holders.get(&number).into_iter().flatten().cloned());
            let stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
            from.extend(stored.get(&number).cloned());
        }
        from.retain(|name| *name != self.repository);
        from.dedup();
        Ok(from)
    }

    async fn pre_copy(&self, node: &Descriptor) -> Result<PreCopy> {
        match &self.inner {
            Some(inner) => inner.pre_copy(node).await,
            None => Ok(PreCopy::Copy),
        }
    }

    async fn post_copy(&self, node: &Descriptor) -> Result<()> {
        match &self.inner {
            Some(inner) => inner.post_copy(node).await,
            None => Ok(()),
        }
    }

    async fn on_skipped(&self, node: &Descriptor) -> Result<()> {
        match &self.inner {
            Some(inner) => inner.on_skipped(node).await,
            None => Ok(()),
        }
    }

    async fn on_mounted(&self, node: &Descriptor) -> Result<()> {
        match &self.inner {
            Some(inner) => inner.on_mounted(node).await,
            None => Ok(()),
        }
    }

    fn on_event(&self, event: CopyEvent<'_>) {
        if let Some(inner) = &self.inner {
            inner.on_event(event);
        }
    }
}
