//! A sorted set whose clones share what they have in common.

use std::sync::Arc;

/// How many items a chunk has when a set is made, and at most.
const NEW: usize = 128;
const MAX: usize = 2 * NEW;

/// A sorted set. A clone shares all chunks, and a change copies the chunk that it touches. So the cost of a change
/// depends little on the size of the set, and older clones do not change.
#[derive(Debug, Clone)]
pub(super) struct SortedSet<T> {
    // None of them is empty.
    chunks: Vec<Arc<Vec<T>>>,
}

impl<T: Ord + Clone> SortedSet<T> {
    /// Returns the set of `items`, which need not be sorted.
    pub(super) fn new(mut items: Vec<T>) -> Self {
        items.sort_unstable();
        items.dedup();
        let chunks = items.chunks(NEW).map(|chunk| Arc::new(chunk.to_vec()));
        Self {
            chunks: chunks.collect(),
        }
    }

    /// Adds an item, unless the set has it.
    pub(super) fn insert(&mut self, item: T) {
        if self.chunks.is_empty() {
            self.chunks.push(Arc::new(vec![item]));
            return;
        }
        let at = self.chunk_of(&item).min(self.chunks.len() - 1);
        let Err(position) = self.chunks[at].binary_search(&item) else {
            return;
        };
        let chunk = Arc::make_mut(&mut self.chunks[at]);
        chunk.insert(position, item);
        if chunk.len() > MAX {
            let upper = chunk.split_off(chunk.len() / 2);
            self.chunks.insert(at + 1, Arc::new(upper));
        }
    }

    /// Removes an item, if the set has it.
    pub(super) fn remove(&mut self, item: &T) {
        let at = self.chunk_of(item);
        let Some(chunk) = self.chunks.get_mut(at) else {
            return;
        };
        let Ok(position) = chunk.binary_search(item) else {
            return;
        };
        if chunk.len() == 1 {
            self.chunks.remove(at);
        } else {
            Arc::make_mut(chunk).remove(position);
        }
    }

    /// Returns the items from the first one for which `is_before` is false, in their order.
    pub(super) fn from(&self, is_before: impl Fn(&T) -> bool) -> impl Iterator<Item = &T> {
        let is_all_before = |chunk: &Arc<Vec<T>>| chunk.last().is_some_and(&is_before);
        let at = self.chunks.partition_point(is_all_before);
        let chunk = self.chunks.get(at);
        let position = chunk.map_or(0, |chunk| chunk.partition_point(is_before));
        let chunks = self.chunks[at..].iter();
        chunks.flat_map(|chunk| chunk.iter()).skip(position)
    }

    /// Returns the number of the first chunk whose last item is not before `item`.
    fn chunk_of(&self, item: &T) -> usize {
        let is_before = |chunk: &Arc<Vec<T>>| chunk.last().is_some_and(|last| last < item);
        self.chunks.partition_point(is_before)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_set_is_equal_to_one_of_the_standard_library() {
        let mut number = 1_u32;
        let mut random = |below: u32| {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (number >> 8) % below
        };
        let initial: Vec<u32> = (0..1000).map(|_| random(5000)).collect();
        let mut set = SortedSet::new(initial.clone());
        let mut model: BTreeSet<u32> = initial.into_iter().collect();
        for round in 0..20_000 {
            let item = random(5000);
            // It grows, and then it shrinks until it is empty.
            if random(10) < if round < 8000 { 7 } else { 2 } {
                set.insert(item);
                model.insert(item);
            } else {
                set.remove(&item);
                model.remove(&item);
            }
            if round % 500 == 0 {
                let start = random(5000);
                assert!(set.from(|other| *other < start).eq(model.range(start..)));
            }
        }
        for item in model {
            set.remove(&item);
        }
        assert_eq!(set.from(|_| false).count(), 0);
        assert!(set.chunks.is_empty());
    }

    #[test]
    fn a_clone_does_not_see_later_changes() {
        let mut set = SortedSet::new((0..1000).collect());
        let before = set.clone();
        for item in 400..600 {
            set.remove(&item);
        }
        set.insert(1000);
        assert!(before.from(|_| false).copied().eq(0..1000));
    }

    #[test]
    fn a_change_copies_one_chunk() {
        let mut set = SortedSet::new((0..10_000).map(|item| item * 2).collect());
        let before = set.clone();
        set.insert(9001);
        let pairs = set.chunks.iter().zip(&before.chunks);
        assert_eq!(
            pairs
                .filter(|(one, other)| !Arc::ptr_eq(one, other))
                .count(),
            1
        );
    }
}
