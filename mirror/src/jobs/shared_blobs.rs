//! Blobs that several images have, which move once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tranship::{Digest, RegistryIdentity, RepositoryName};

/// So many repositories are remembered for each blob, in case one of them loses it.
const MAX_HOLDERS: usize = 3;

/// A blob of a registry.
pub(super) type BlobKey = (RegistryIdentity, Digest);

/// Where each blob of a run is at the destination, or which copy is moving it there.
///
/// The first copy that claims a blob moves it. The others wait, and mount it from there.
///
/// A copy that waits can hold claims that another copy waits for. Where blobs can be mounted as soon as they are pushed,
/// that other copy continues, because a blob is claimed when its own transfer starts. Where a copy is one batch, its blobs can
/// be mounted only after its end. So copies say which copies they wait for, and one that would close a circle copies the blob
/// itself.
#[derive(Debug, Default)]
pub(crate) struct SharedBlobs {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    blobs: HashMap<BlobKey, Blob>,
    /// Which copies wait for the end of which, as often as they wait.
    waits: HashMap<usize, Vec<usize>>,
}

#[derive(Debug)]
enum Blob {
    /// The copy with this number has claimed it.
    Moving { copy: usize, ended: Arc<Notify> },
    /// These repositories have it.
    Stored(Vec<RepositoryName>),
}

/// What a copy does about a blob.
pub(super) enum Turn {
    /// Copy it.
    Copy,
    /// Mount it from one of these repositories.
    Mount(Vec<RepositoryName>),
    /// Ask again when the copy with this number has moved it, or has failed.
    Wait(usize, OwnedNotified),
}

impl SharedBlobs {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims a blob for a copy, unless it is stored or claimed.
    pub(super) fn claim(&self, copy: usize, key: BlobKey) {
        let moving = || Blob::Moving {
            copy,
            ended: Arc::default(),
        };
        self.lock().blobs.entry(key).or_insert_with(moving);
    }

    /// Returns what `copy`, into `repository`, does about a blob, which is claimed for it if nothing is known of it.
    /// `until_end` says that a wait is one for the end of the other copy.
    pub(super) fn turn(
        &self,
        copy: usize,
        repository: &RepositoryName,
        key: &BlobKey,
        until_end: bool,
    ) -> Turn {
        self.claim(copy, key.clone());
        let mut state = self.lock();
        let (mover, ended) = match state.blobs.get(key) {
            Some(Blob::Moving { copy: mover, ended }) if *mover != copy => {
                (*mover, Arc::clone(ended))
            }
            Some(Blob::Stored(holders)) if !holders.contains(repository) => {
                return Turn::Mount(holders.clone());
            }
            _ => return Turn::Copy,
        };
        if until_end {
            if state.leads_to(mover, copy) {
                return Turn::Copy;
            }
            state.waits.entry(copy).or_default().push(mover);
        }
        // Registered before the lock is released, so that no notification is missed.
        Turn::Wait(mover, ended.notified_owned())
    }

    /// Notes that a wait until the end of `mover` is over.
    pub(super) fn waited(&self, copy: usize, mover: usize) {
        if let Some(waits) = self.lock().waits.get_mut(&copy)
            && let Some(at) = waits.iter().position(|other| *other == mover)
        {
            waits.swap_remove(at);
        }
    }

    /// Notes that `repository` has a blob, which others can mount now.
    pub(super) fn stored(&self, repository: &RepositoryName, key: BlobKey) {
        let mut state = self.lock();
        match state.blobs.get_mut(&key) {
            Some(Blob::Stored(holders)) => {
                if holders.len() < MAX_HOLDERS && !holders.contains(repository) {
                    holders.push(repository.clone());
                }
            }
            before => {
                if let Some(Blob::Moving { ended, .. }) = before {
                    ended.notify_waiters();
                }
                let holders = vec![repository.clone()];
                state.blobs.insert(key, Blob::Stored(holders));
            }
        }
    }

    /// Releases what a copy has claimed and not stored.
    pub(super) fn release(&self, copy: usize) {
        let mut state = self.lock();
        state.waits.remove(&copy);
        state.blobs.retain(|_, blob| match blob {
            Blob::Moving { copy: mover, ended } if *mover == copy => {
                ended.notify_waiters();
                false
            }
            Blob::Moving { .. } | Blob::Stored(_) => true,
        });
    }
}

impl State {
    /// Whether `from` waits for `to`, or for a copy that does.
    fn leads_to(&self, from: usize, to: usize) -> bool {
        let mut seen = HashSet::new();
        let mut next = vec![from];
        while let Some(copy) = next.pop() {
            if copy == to {
                return true;
            }
            if seen.insert(copy)
                && let Some(waits) = self.waits.get(&copy)
            {
                next.extend(waits);
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> BlobKey {
        (
            RegistryIdentity::new("registry"),
            Digest::of(text.as_bytes()),
        )
    }

    fn name(text: &str) -> RepositoryName {
        text.parse().expect("a name")
    }

    #[tokio::test]
    async fn a_waiting_copy_mounts_what_the_other_has_stored() {
        let shared = SharedBlobs::default();
        assert!(matches!(
            shared.turn(1, &name("a"), &key("x"), false),
            Turn::Copy
        ));
        let Turn::Wait(1, ended) = shared.turn(2, &name("b"), &key("x"), false) else {
            panic!("it does not wait");
        };
        shared.stored(&name("a"), key("x"));
        ended.await;
        let Turn::Mount(holders) = shared.turn(2, &name("b"), &key("x"), false) else {
            panic!("it does not mount");
        };
        assert_eq!(holders, [name("a")]);
    }

    #[tokio::test]
    async fn a_failed_copy_leaves_its_blobs_to_the_next() {
        let shared = SharedBlobs::default();
        shared.claim(1, key("x"));
        let Turn::Wait(1, ended) = shared.turn(2, &name("b"), &key("x"), true) else {
            panic!("it does not wait");
        };
        shared.release(1);
        ended.await;
        assert!(matches!(
            shared.turn(2, &name("b"), &key("x"), true),
            Turn::Copy
        ));
        assert!(matches!(
            shared.turn(3, &name("c"), &key("x"), true),
            Turn::Wait(2, _)
        ));
    }

    #[test]
    fn a_circle_of_waiting_copies_does_not_close() {
        let shared = SharedBlobs::default();
        for (copy, blob) in [(1, "x"), (2, "y"), (3, "z")] {
            shared.claim(copy, key(blob));
        }
        assert!(matches!(
            shared.turn(1, &name("a"), &key("y"), true),
            Turn::Wait(2, _)
        ));
        assert!(matches!(
            shared.turn(2, &name("b"), &key("z"), true),
            Turn::Wait(3, _)
        ));
        assert!(matches!(
            shared.turn(3, &name("c"), &key("x"), true),
            Turn::Copy
        ));
        shared.waited(2, 3);
        assert!(matches!(
            shared.turn(3, &name("c"), &key("x"), true),
            Turn::Wait(1, _)
        ));
    }
}
