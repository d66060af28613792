//! Where the entries of each digest are in `index.json`.

use tranship::Digest;

use super::entries::{Entries, Entry};
use super::names::Name;
use super::sorted_set::SortedSet;

/// The positions of all entries, by digest.
#[derive(Debug, Clone)]
pub(super) struct Digests {
    all: SortedSet<(Digest, usize)>,
    /// Those of entries without a name.
    unnamed: SortedSet<(Digest, usize)>,
}

impl Digests {
    pub(super) fn new(entries: &Entries) -> Self {
        let (mut all, mut unnamed) = (Vec::with_capacity(entries.len()), Vec::new());
        for (position, entry) in entries.iter() {
            if let Entry::Manifest(descriptor, name) = entry {
                all.push((*descriptor.digest(), position));
                if *name == Name::None {
                    unnamed.push((*descriptor.digest(), position));
                }
            }
        }
        Self {
            all: SortedSet::new(all),
            unnamed: SortedSet::new(unnamed),
        }
    }

    pub(super) fn insert(&mut self, position: usize, digest: &Digest, name: &Name) {
        self.all.insert((*digest, position));
        if *name == Name::None {
            self.unnamed.insert((*digest, position));
        }
    }

    pub(super) fn remove(&mut self, position: usize, digest: &Digest, name: &Name) {
        self.all.remove(&(*digest, position));
        if *name == Name::None {
            self.unnamed.remove(&(*digest, position));
        }
    }

    /// Returns whether there is an entry of `digest`.
    pub(super) fn contains(&self, digest: &Digest) -> bool {
        self.positions(digest).next().is_some()
    }

    /// Returns the positions of the entries of `digest`, in their order.
    pub(super) fn positions(&self, digest: &Digest) -> impl Iterator<Item = usize> {
        positions(&self.all, digest)
    }

    /// Returns the positions of the entries of `digest` without a name, in their order.
    pub(super) fn unnamed(&self, digest: &Digest) -> impl Iterator<Item = usize> {
        positions(&self.unnamed, digest)
    }
}

fn positions(set: &SortedSet<(Digest, usize)>, digest: &Digest) -> impl Iterator<Item = usize> {
    let from = set.from(move |(other, _)| other < digest);
    let same = from.take_while(move |(other, _)| other == digest);
    same.map(|(_, position)| *position)
}
