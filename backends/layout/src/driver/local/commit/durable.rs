//! Which files and directories of a layout this process knows to be durable.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fs::Metadata;
use std::hash::BuildHasher as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tranship::Digest;

use crate::driver::file::stat_regular;
use crate::driver::names::identity_of;
use crate::driver::stamp::Stamp;

/// How many blobs are remembered. Each takes some 32 bytes.
const REMEMBERED: usize = 32 * 1024;

/// The files and directories of one layout that this process knows to be durable.
#[derive(Debug, Default)]
pub(super) struct Durable {
    blobs: Mutex<Blobs>,
    /// The state in which `index.json` is durable, with everything that it names.
    index: Mutex<Option<Stamp>>,
    /// Directories of blobs whose own names, and those of all directories above, are durable.
    directories: Mutex<HashMap<PathBuf, (u64, u64)>>,
}

/// Durable blobs, each with the state of its file: hashes of both.
#[derive(Debug, Default)]
struct Blobs {
    known: HashMap<u64, u64>,
    hasher: RandomState,
}

impl Durable {
    /// Remembers that the blob `digest` is durable in the current state of its file, `path`.
    pub(super) fn remember(&self, digest: &Digest, path: &Path) {
        if let Ok(Some(metadata)) = stat_regular(path) {
            self.remember_state(digest, &metadata);
        }
    }

    pub(super) fn remember_state(&self, digest: &Digest, metadata: &Metadata) {
        let mut blobs = lock(&self.blobs);
        if blobs.known.len() >= REMEMBERED {
            blobs.known.clear();
        }
        let (name, state) = blobs.hashed(digest, metadata);
        blobs.known.insert(name, state);
    }

    pub(super) fn knows(&self, digest: &Digest, metadata: &Metadata) -> bool {
        let blobs = lock(&self.blobs);
        let (name, state) = blobs.hashed(digest, metadata);
        blobs.known.get(&name) == Some(&state)
    }

    /// Remembers that the names of `directory` and of all directories above it are durable.
    pub(super) fn remember_directory(&self, directory: &Path) {
        if let Some(found) = identity_of(directory) {
            lock(&self.directories).insert(directory.to_owned(), found);
        }
    }

    /// Returns whether the names of `directory` and of all directories above it are durable.
    pub(super) fn knows_directory(&self, directory: &Path) -> bool {
        let known = lock(&self.directories).get(directory).copied();
        known.is_some() && known == identity_of(directory)
    }

    /// Whether `index.json` is durable in the state `stamp`, with everything that it names.
    pub(super) fn knows_index(&self, stamp: &Stamp) -> bool {
        lock(&self.index).as_ref() == Some(stamp)
    }

    pub(super) fn remember_index(&self, stamp: &Stamp) {
        *lock(&self.index) = Some(stamp.clone());
    }
}

impl Blobs {
    fn hashed(&self, digest: &Digest, metadata: &Metadata) -> (u64, u64) {
        let state = self.hasher.hash_one(Stamp::of(metadata));
        (self.hasher.hash_one(digest), state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
