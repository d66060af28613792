//! The hooks of a copy that shares blobs with others.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tranship::{
    CopyEvent, CopyHooks, Descriptor, Digest, RegistryIdentity, Repository, RepositoryName, Result,
};

use super::observer::Observer;
use super::shared_blobs::{BlobKey, SharedBlobs, Turn};

/// The hooks of one copy. Dropping them releases what the copy has claimed and not stored.
pub(crate) struct SharingHooks {
    shared: Arc<SharedBlobs>,
    copy: usize,
    registry: Option<RegistryIdentity>,
    repository: RepositoryName,
    when: Mountable,
    /// Stored blobs that others can mount only at the end.
    until_end: Mutex<Vec<BlobKey>>,
    observer: Option<Arc<dyn Observer>>,
}

/// When other repositories can mount pushed blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mountable {
    AtOnce,
    /// When the copy has ended, because it is a batch.
    AtEnd,
    /// Nothing is pushed, and what is claimed counts as stored.
    DryRun,
}

impl SharingHooks {
    pub(crate) fn new(
        shared: &Arc<SharedBlobs>,
        copy: usize,
        destination: &dyn Repository,
        dry_run: bool,
        observer: Option<Arc<dyn Observer>>,
    ) -> Self {
        let when = if dry_run {
            Mountable::DryRun
        } else if destination.batch().is_some() {
            Mountable::AtEnd
        } else {
            Mountable::AtOnce
        };
        Self {
            shared: Arc::clone(shared),
            copy,
            registry: destination.registry().cloned(),
            repository: destination.name().clone(),
            when,
            until_end: Mutex::default(),
            observer,
        }
    }

    /// Notes that the copy has succeeded, so that others can mount its blobs.
    pub(crate) fn succeeded(&self) {
        let mut stored = self
            .until_end
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for key in stored.drain(..) {
            self.shared.stored(&self.repository, key);
        }
    }

    /// Notes that the repository has blobs that were not copied one by one, because a manifest above them was there.
    pub(crate) fn has(&self, blobs: impl IntoIterator<Item = Digest>) {
        if let Some(registry) = self
            .registry
            .as_ref()
            .filter(|_| self.when != Mountable::DryRun)
        {
            for digest in blobs {
                self.shared
                    .stored(&self.repository, (registry.clone(), digest));
            }
        }
    }

    fn key(&self, node: &Descriptor) -> Option<BlobKey> {
        let is_blob = !node.media_type().is_manifest();
        let registry = self.registry.as_ref().filter(|_| is_blob)?;
        Some((registry.clone(), *node.digest()))
    }

    fn stored(&self, node: &Descriptor) {
        let Some(key) = self.key(node) else {
            return;
        };
        if self.when == Mountable::AtEnd {
            let mut stored = self
                .until_end
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            stored.push(key);
        } else {
            self.shared.stored(&self.repository, key);
        }
    }
}

impl Drop for SharingHooks {
    fn drop(&mut self) {
        self.shared.release(self.copy);
    }
}

#[async_trait]
impl CopyHooks for SharingHooks {
    async fn successors(
        &self,
        _node: &Descriptor,
        found: Vec<Descriptor>,
    ) -> Result<Vec<Descriptor>> {
        if self.when == Mountable::AtEnd {
            // All at once, so that few copies wait for each other.
            for key in found.iter().filter_map(|child| self.key(child)) {
                self.shared.claim(self.copy, key);
            }
        }
        Ok(found)
    }

    async fn mount_from(&self, node: &Descriptor) -> Result<Vec<RepositoryName>> {
        let Some(key) = self.key(node) else {
            return Ok(Vec::new());
        };
        let until_end = self.when == Mountable::AtEnd;
        loop {
            match self
                .shared
                .turn(self.copy, &self.repository, &key, until_end)
            {
                Turn::Copy => {
                    if self.when == Mountable::DryRun {
                        self.shared.stored(&self.repository, key);
                    }
                    return Ok(Vec::new());
                }
                Turn::Mount(holders) => return Ok(holders),
                Turn::Wait(mover, ended) => {
                    ended.await;
                    if until_end {
                        self.shared.waited(self.copy, mover);
                    }
                }
            }
        }
    }

    async fn post_copy(&self, node: &Descriptor) -> Result<()> {
        self.stored(node);
        Ok(())
    }

    async fn on_skipped(&self, node: &Descriptor) -> Result<()> {
        self.stored(node);
        Ok(())
    }

    async fn on_mounted(&self, node: &Descriptor) -> Result<()> {
        self.stored(node);
        Ok(())
    }

    fn on_event(&self, event: CopyEvent<'_>) {
        if let Some(observer) = &self.observer {
            observer.progressed(event);
        }
    }
}
