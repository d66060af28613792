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
        let (mut all, mut unnamed, mut indexes) = (Vec::new(), Vec::new(), Vec::new());
        for (position, entry) in entries.iter() {
            if let Entry::Manifest(descriptor, name) = entry {
                let item = (*descriptor.digest(), position);
                let lists = sets_of(descriptor, name, [&mut all, &mut unnamed, &mut indexes]);
                lists.for_each(|list| list.push(item));
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
        self.sets(descriptor, name).for_each(|set| set.insert(item));
    }

    pub(super) fn remove(&mut self, position: usize, descriptor: &Descriptor, name: &Name) {
        let item = (*descriptor.digest(), position);
        self.sets(descriptor, name)
            .for_each(|set| set.remove(&item));
    }

    fn sets(
        &mut self,
        descriptor: &Descriptor,
        name: &Name,
    ) -> impl Iterator<Item = &mut SortedSet<(Digest, usize)>> {
        let sets = [&mut self.all, &mut self.unnamed, &mut self.indexes];
        sets_of(descriptor, name, sets)
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

/// Returns those of the sets of all entries, of those without a name and of image indexes that an entry is in.
fn sets_of<'s, S>(
    descriptor: &Descriptor,
    name: &Name,
    [all, unnamed, indexes]: [&'s mut S; 3],
) -> impl Iterator<Item = &'s mut S> {
    let unnamed = (*name == Name::None).then_some(unnamed);
    let indexes = descriptor.media_type().is_index().then_some(indexes);
    [Some(all), unnamed, indexes].into_iter().flatten()
}

fn positions(set: &SortedSet<(Digest, usize)>, digest: &Digest) -> impl Iterator<Item = usize> {
    let from = set.from(move |(other, _)| other < digest);
    let same = from.take_while(move |(other, _)| other == digest);
    same.map(|(_, position)| *position)
}
