//! Blobs that several images have, which move once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tranship::{Digest, RegistryIdentity, RepositoryName};

/// So many repositories are returned as sources of a mount, in case one of them has lost the blob.
const MAX_SOURCES: usize = 3;

/// A blob of a registry.
pub(super) type BlobKey = (RegistryIdentity, Digest);

/// Where each blob of a run is at the destination, or which copy is moving it there.
///
/// The first copy that claims a blob moves it. The others wait, and mount it from there. Of several copies into one
/// repository, one mounts it: some registries fail when a blob is mounted twice at the same time.
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
    /// The copies that mount a stored blob into a further repository.
    mounting: HashMap<(BlobKey, RepositoryName), Mover>,
    /// Which copies wait for the end of which, as often as they wait.
    waits: HashMap<usize, Vec<usize>>,
}

#[derive(Debug)]
enum Blob {
    Moving(Mover),
    /// These repositories have it, and these are the first of them.
    Stored {
        repositories: HashSet<RepositoryName>,
        sources: Vec<RepositoryName>,
    },
}

/// A copy that moves a blob.
#[derive(Debug, Clone)]
struct Mover {
    copy: usize,
    ended: Arc<Notify>,
}

impl Mover {
    fn new(copy: usize) -> Self {
        Self {
            copy,
            ended: Arc::default(),
        }
    }
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
        let mut state = self.lock();
        let blob = state.blobs.entry(key);
        blob.or_insert_with(|| Blob::Moving(Mover::new(copy)));
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
        let (mover, sources) = match state.blobs.get(key) {
            Some(Blob::Stored {
                repositories,
                sources,
            }) if !repositories.contains(repository) => {
                let mounting = state.mounting.get(&(key.clone(), repository.clone()));
                (mounting.cloned(), sources.clone())
            }
            Some(Blob::Moving(mover)) => (Some(mover.clone()), Vec::new()),
            _ => return Turn::Copy,
        };
        let Some(mover) = mover.filter(|mover| mover.copy != copy) else {
            if sources.is_empty() {
                return Turn::Copy;
            }
            let mounting = (key.clone(), repository.clone());
            state.mounting.insert(mounting, Mover::new(copy));
            return Turn::Mount(sources);
        };
        if until_end {
            if state.leads_to(mover.copy, copy) {
                return Turn::Copy;
            }
            state.waits.entry(copy).or_default().push(mover.copy);
        }
        // Registered before the lock is released, so that no notification is missed.
        Turn::Wait(mover.copy, mover.ended.notified_owned())
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
        let mounting = (key.clone(), repository.clone());
        if let Some(mover) = state.mounting.remove(&mounting) {
            mover.ended.notify_waiters();
        }
        let blob = state.blobs.entry(key).or_insert_with(Blob::empty);
        if let Blob::Moving(mover) = blob {
            mover.ended.notify_waiters();
            *blob = Blob::empty();
        }
        if let Blob::Stored {
            repositories,
            sources,
        } = blob
            && repositories.insert(repository.clone())
            && sources.len() < MAX_SOURCES
        {
            sources.push(repository.clone());
        }
    }

    /// Releases what a copy has claimed and not stored.
    pub(super) fn release(&self, copy: usize) {
        let mut state = self.lock();
        state.waits.remove(&copy);
        let is_other = |mover: &Mover| {
            let is_own = mover.copy == copy;
            if is_own {
                mover.ended.notify_waiters();
            }
            !is_own
        };
        state.mounting.retain(|_, mover| is_other(mover));
        state.blobs.retain(|_, blob| match blob {
            Blob::Moving(mover) => is_other(mover),
            Blob::Stored { .. } => true,
        });
    }
}

impl Blob {
    /// A blob that no repository has yet.
    fn empty() -> Self {
        Self::Stored {
            repositories: HashSet::new(),
            sources: Vec::new(),
        }
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

    #[test]
    fn of_several_copies_into_one_repository_one_mounts() {
        let shared = SharedBlobs::default();
        shared.stored(&name("a"), key("x"));
        assert!(matches!(
            shared.turn(1, &name("b"), &key("x"), false),
            Turn::Mount(_)
        ));
        assert!(matches!(
            shared.turn(2, &name("b"), &key("x"), false),
            Turn::Wait(1, _)
        ));
        assert!(matches!(
            shared.turn(3, &name("c"), &key("x"), false),
            Turn::Mount(_)
        ));
        shared.stored(&name("b"), key("x"));
        assert!(matches!(
            shared.turn(2, &name("b"), &key("x"), false),
            Turn::Copy
        ));
        shared.release(3);
        assert!(matches!(
            shared.turn(4, &name("c"), &key("x"), false),
            Turn::Mount(_)
        ));
    }
}
