//! Where the entries of each digest are in `index.json`.

use tranship::{Descriptor, Digest};

use super::entries::{Entries, Entry};
use super::names::Name;
use super::sorted_set::SortedSet;

/// The positions of all entries, by digest.
#[derive(Debug, Clone)]
pub(super) struct Digests {
    all: SortedSet<(Digest, usize)>,
    /// Those of entries without a name.
    unnamed: SortedSet<(Digest, usize)>,
    /// Those of image indexes.
    indexes: SortedSet<(Digest, usize)>,
}

impl Digests {
    pub(super) fn new(entries: &Entries) -> Self {
        let mut all = Vec::with_capacity(entries.len());
        let (mut unnamed, mut indexes) = (Vec::new(), Vec::new());
        for (position, entry) in entries.iter() {
            if let Entry::Manifest(descriptor, name) = entry {
                let item = (*descriptor.digest(), position);
                all.push(item);
                if *name == Name::None {
                    unnamed.push(item);
                }
                if descriptor.media_type().is_index() {
                    indexes.push(item);
                }
            }
        }
        Self {
            all: SortedSet::new(all),
            unnamed: SortedSet::new(unnamed),
            indexes: SortedSet::new(indexes),
        }
    }

    pub(super) fn insert(&mut self, position: usize, descriptor: &Descriptor, name: &Name) {
        let item = (*descriptor.digest(), position);
        self.all.insert(item);
        if *name == Name::None {
            self.unnamed.insert(item);
        }
        if descriptor.media_type().is_index() {
            self.indexes.insert(item);
        }
    }

    pub(super) fn remove(&mut self, position: usize, descriptor: &Descriptor, name: &Name) {
        let item = (*descriptor.digest(), position);
        self.all.remove(&item);
        if *name == Name::None {
            self.unnamed.remove(&item);
        }
        if descriptor.media_type().is_index() {
            self.indexes.remove(&item);
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

    /// Returns the positions of all image indexes, by digest.
    pub(super) fn indexes(&self) -> impl Iterator<Item = usize> {
        self.indexes.from(|_| false).map(|(_, position)| *position)
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
