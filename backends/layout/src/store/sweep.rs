//! Removes blobs while the index does not change.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tranship::blocking;
use tranship::{Digest, Error, ErrorKind, Result};

use super::Store;
use crate::driver::{IndexRead, IndexState, IndexVersion, StoredName, Sweep, Swept};
use crate::index::Snapshot;

/// How a sweep ended.
#[derive(Debug)]
pub(crate) struct SweepOutcome {
    pub(crate) swept: Swept,
    /// The current index, if it is not the known one. In that case not all was removed.
    pub(crate) changed: Option<Arc<Snapshot>>,
}

impl Store {
    /// Returns the current `index.json`, without the changes of a batch, and its version.
    ///
    /// # Errors
    /// `Corrupt` if it is missing.
    pub(crate) async fn read_index(&self) -> Result<(Arc<Snapshot>, IndexVersion)> {
        let driver = self.driver().await?;
        let limit = self.index.max_index_size;
        let read = driver.read_index(None, limit).await?;
        let (IndexRead::Read(content, version), index) = (read, Arc::clone(&self.index)) else {
            return Err(self.index.in_index(missing()));
        };
        let decode =
            move || Snapshot::decode_for_change(&content).map_err(|error| index.in_index(error));
        let snapshot = Arc::new(blocking::run(decode).await?);
        self.index.cache(version.clone(), Arc::clone(&snapshot));
        Ok((snapshot, version))
    }

    /// Removes blobs, under the right to change the index, if that is still at the version `known`;
    /// with new content of the index, that first. What has changed within `min_age` is kept.
    pub(crate) async fn sweep(
        &self,
        known: IndexVersion,
        content: Option<Arc<Snapshot>>,
        remove: Vec<Digest>,
        min_age: Duration,
    ) -> Result<SweepOutcome> {
        self.check_removal()?;
        let driver = self.driver().await?;
        let encoded = content.as_ref().map(|content| content.encode());
        let encoded = encoded.transpose()?;
        let found_other = Arc::new(Mutex::new(None));
        let plan = {
            let (index, found_other) = (Arc::clone(&self.index), Arc::clone(&found_other));
            Box::new(move |found: IndexState<'_>| {
                let mut found_other = found_other.lock().unwrap_or_else(PoisonError::into_inner);
                *found_other = match found {
                    IndexState::Unchanged => None,
                    IndexState::Absent => return Err(index.in_index(missing())),
                    IndexState::Changed(content) => {
                        let found = Snapshot::decode_for_change(content);
                        Some(found.map_err(|error| index.in_index(error))?)
                    }
                };
                Ok(match *found_other {
                    None => Sweep {
                        content: encoded.clone(),
                        remove: remove.clone(),
                    },
                    Some(_) => Sweep::default(),
                })
            })
        };
        let swept = driver
            .sweep(Some(known), self.index.max_index_size, min_age, plan)
            .await?;
        let other = found_other
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let (snapshot, outcome) = match other {
            Some(other) => {
                let other = Arc::new(other);
                (Some(Arc::clone(&other)), Some(other))
            }
            None => (content, None),
        };
        if let (Some(snapshot), Some(version)) = (snapshot, &swept.version) {
            self.index.cache(version.clone(), snapshot);
        }
        for stored in &swept.removed {
            if let StoredName::Blob(digest) = &stored.name {
                self.index.graph.forget(digest);
            }
        }
        Ok(SweepOutcome {
            swept,
            changed: outcome,
        })
    }
}

/// Without an index nothing is known to be used, which must not remove everything.
fn missing() -> Error {
    Error::new(ErrorKind::Corrupt, "is missing").with_hint("restore it; nothing was removed")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tranship::{Descriptor, MediaType};

    use super::*;
    use crate::children::Children;
    use crate::driver::local::Local;
    use crate::index::Edit;
    use crate::options::{Durability, LayoutOptions};

    fn open(path: &Path) -> Store {
        let driver = Local::new(path.to_owned(), Durability::Relaxed);
        Store::new(Arc::new(driver), &LayoutOptions::default())
    }

    async fn put(store: &Store, content: &'static [u8]) -> Digest {
        let target = Descriptor::of(MediaType::IMAGE_MANIFEST, content);
        let driver = store.driver().await.expect("a layout");
        let stored = driver.put_blob(&target, content.into()).await;
        stored.expect("stored");
        *target.digest()
    }

    async fn is_there(store: &Store, digest: &Digest) -> bool {
        let driver = store.driver().await.expect("a layout");
        let size = driver.blob_size(digest).await;
        size.expect("looked").is_some()
    }

    #[tokio::test]
    async fn what_was_listed_since_it_was_marked_stops_a_sweep() {
        let directory = tempfile::tempdir().expect("a directory");
        let (one, other) = (open(directory.path()), open(directory.path()));
        let digest = put(&one, b"{}").await;
        let (_, version) = one.read_index().await.expect("an index");
        let listing = Edit::List {
            entry: Descriptor::of(MediaType::IMAGE_MANIFEST, b"{}"),
            tags: vec!["v1".parse().expect("a tag")],
            children: Children::default(),
        };
        other.commit(listing).await.expect("listed");

        let sweep = one.sweep(version, None, vec![digest], Duration::ZERO);
        let outcome = sweep.await.expect("swept");

        assert!(outcome.swept.removed.is_empty());
        let changed = outcome.changed.expect("another index");
        assert!(changed.listed(&digest).is_some());
        assert!(is_there(&one, &digest).await);
        // What is known now is the one to try again with.
        let version = outcome.swept.version.expect("a version");
        let unused = put(&one, b"[]").await;
        let sweep = one.sweep(version, None, vec![unused], Duration::ZERO);
        let outcome = sweep.await.expect("swept");
        assert!(outcome.changed.is_none());
        assert_eq!(outcome.swept.removed.len(), 1);
        assert!(!is_there(&one, &unused).await);
    }

    #[tokio::test]
    async fn what_is_young_when_its_turn_comes_is_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = open(directory.path());
        let digest = put(&store, b"{}").await;
        let (_, version) = store.read_index().await.expect("an index");
        let minute = Duration::from_secs(60);
        let outcome = store.sweep(version, None, vec![digest], minute).await;
        assert!(outcome.expect("swept").swept.removed.is_empty());
        assert!(is_there(&store, &digest).await);
    }

    #[tokio::test]
    async fn a_sweep_takes_the_lock_that_changes_of_the_index_take() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = open(directory.path());
        let digest = put(&store, b"{}").await;
        let (_, version) = store.read_index().await.expect("an index");
        let lock = directory.path().join(".tranship/lock");
        let held = std::fs::File::create(lock).expect("ours");
        held.lock().expect("locked");
        let sweep = store.sweep(version, None, vec![digest], Duration::ZERO);
        let mut sweep = Box::pin(sweep);
        let wait = Duration::from_millis(100);
        assert!(tokio::time::timeout(wait, &mut sweep).await.is_err());
        assert!(is_there(&store, &digest).await);
        drop(held);
        assert_eq!(sweep.await.expect("swept").swept.removed.len(), 1);
    }
}
