//! The hooks of the copy of one image.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use tranship::{
    ContentKind, CopyEvent, CopyHooks, Descriptor, Error, ErrorKind, PreCopy, RepositoryName,
    Result,
};

use super::super::contents::BundleContents;
use super::super::graph::key_of;
use super::super::node::ContentNode;
use crate::jobs::SharingHooks;

/// Says what is copied of a manifest, and where blobs can be mounted from; and passes everything on to the hooks of the
/// caller.
pub(super) struct ApplyHooks {
    pub(super) contents: Arc<BundleContents>,
    pub(super) repository: RepositoryName,
    /// Where content of the base is, by its number.
    pub(super) holders: Arc<HashMap<u32, Vec<RepositoryName>>>,
    /// What other copies know of the blobs.
    pub(super) sharing: SharingHooks,
    pub(super) inner: Option<Arc<dyn CopyHooks>>,
}

impl ApplyHooks {
    /// Returns the successors that were copied when the bundle was planned.
    ///
    /// # Errors
    /// `Corrupt` if a config or a layer is missing there, which is never left out.
    fn kept(&self, node: &Descriptor, found: Vec<Descriptor>) -> Result<Vec<Descriptor>> {
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
        let (kept, others): (Vec<_>, Vec<_>) = found.into_iter().partition(is_child);
        let is_needed = |descriptor: &&Descriptor| {
            let media_type = descriptor.media_type();
            !media_type.is_manifest() && !media_type.is_non_distributable()
        };
        if let Some(missing) = others.iter().find(is_needed) {
            let message = format!(
                "the bundle does not list {}, which it refers to",
                missing.digest()
            );
            return Err(Error::new(ErrorKind::Corrupt, message).with_subject(node.digest()));
        }
        Ok(kept)
    }
}

#[async_trait]
impl CopyHooks for ApplyHooks {
    async fn successors(
        &self,
        node: &Descriptor,
        found: Vec<Descriptor>,
    ) -> Result<Vec<Descriptor>> {
        let kept = self.kept(node, found)?;
        let kept = self.sharing.successors(node, kept).await?;
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
        match number.and_then(|number| self.holders.get(&number)) {
            Some(holders) => from.extend(holders.iter().cloned()),
            None => from.extend(self.sharing.mount_from(node).await?),
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
        self.sharing.post_copy(node).await?;
        match &self.inner {
            Some(inner) => inner.post_copy(node).await,
            None => Ok(()),
        }
    }

    async fn on_skipped(&self, node: &Descriptor) -> Result<()> {
        self.sharing.on_skipped(node).await?;
        match &self.inner {
            Some(inner) => inner.on_skipped(node).await,
            None => Ok(()),
        }
    }

    async fn on_mounted(&self, node: &Descriptor) -> Result<()> {
        self.sharing.on_mounted(node).await?;
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
