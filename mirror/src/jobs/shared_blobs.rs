//! Blobs that several images have, which move once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;
use tranship::{
    CopyEvent, CopyHooks, Descriptor, Digest, PreCopy, RegistryIdentity, Repository,
    RepositoryName, Result,
};

use super::observer::Observer;

/// So many repositories are remembered for each blob, in case one of them loses it.
const MAX_HOLDERS: usize = 3;

/// Where each blob of a run is at the destination, or which copy is moving it there.
///
/// The first copy that comes to a blob moves it. The others wait, and mount it from there. A copy that waits holds
/// nothing that another one could wait for, because a blob is claimed at the moment when its own transfer starts.
#[derive(Debug, Default)]
pub(super) struct SharedBlobs {
    blobs: Mutex<HashMap<(RegistryIdentity, Digest), BlobState>>,
}

#[derive(Debug)]
enum BlobState {
    /// The copy with this number is moving it.
    Moving { copy: usize, ended: Arc<Notify> },
    /// These repositories have it.
    Stored(Vec<RepositoryName>),
}

impl SharedBlobs {
    fn lock(&self) -> MutexGuard<'_, HashMap<(RegistryIdentity, Digest), BlobState>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hooks of one copy. Dropping them releases what the copy has claimed, if it failed.
pub(super) struct SharingHooks {
    shared: Arc<SharedBlobs>,
    copy: usize,
    registry: Option<RegistryIdentity>,
    repository: RepositoryName,
    /// In a dry run nothing is moved, so nobody waits.
    dry_run: bool,
    observer: Option<Arc<dyn Observer>>,
}

impl SharingHooks {
    pub(super) fn new(
        shared: &Arc<SharedBlobs>,
        copy: usize,
        destination: &dyn Repository,
        dry_run: bool,
        observer: Option<Arc<dyn Observer>>,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            copy,
            registry: destination.registry().cloned(),
            repository: destination.name().clone(),
            dry_run,
            observer,
        }
    }

    fn stored(&self, node: &Descriptor) {
        let Some(registry) = &self.registry else {
            return;
        };
        if node.media_type().is_manifest() {
            return;
        }
        let mut blobs = self.shared.lock();
        let key = (registry.clone(), *node.digest());
        match blobs.get_mut(&key) {
            Some(BlobState::Stored(holders)) => {
                if holders.len() < MAX_HOLDERS && !holders.contains(&self.repository) {
                    holders.push(self.repository.clone());
                }
            }
            before => {
                if let Some(BlobState::Moving { ended, .. }) = before {
                    ended.notify_waiters();
                }
                blobs.insert(key, BlobState::Stored(vec![self.repository.clone()]));
            }
        }
    }
}

impl Drop for SharingHooks {
    fn drop(&mut self) {
        self.shared.lock().retain(|_, state| match state {
            BlobState::Moving { copy, ended } if *copy == self.copy => {
                ended.notify_waiters();
                false
            }
            BlobState::Moving { .. } | BlobState::Stored(_) => true,
        });
    }
}

#[async_trait]
impl CopyHooks for SharingHooks {
    async fn mount_from(&self, node: &Descriptor) -> Result<Vec<RepositoryName>> {
        let Some(registry) = &self.registry else {
            return Ok(Vec::new());
        };
        let key = (registry.clone(), *node.digest());
        loop {
            let ended = {
                let mut blobs = self.shared.lock();
                match blobs.get(&key) {
                    None => {
                        let state = if self.dry_run {
                            BlobState::Stored(vec![self.repository.clone()])
                        } else {
                            BlobState::Moving {
                                copy: self.copy,
                                ended: Arc::default(),
                            }
                        };
                        blobs.insert(key, state);
                        return Ok(Vec::new());
                    }
                    Some(BlobState::Moving { copy, .. }) if *copy == self.copy => {
                        return Ok(Vec::new());
                    }
                    Some(BlobState::Moving { ended, .. }) => {
                        // Registered before the lock is released, so that no notification is missed.
                        Arc::clone(ended).notified_owned()
                    }
                    Some(BlobState::Stored(holders)) if holders.contains(&self.repository) => {
                        return Ok(Vec::new());
                    }
                    Some(BlobState::Stored(holders)) => return Ok(holders.clone()),
                }
            };
            ended.await;
        }
    }

    async fn pre_copy(&self, _node: &Descriptor) -> Result<PreCopy> {
        Ok(PreCopy::Copy)
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
