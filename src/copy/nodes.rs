//! All that is part of a copy, each piece of content once. A graph can have very many nodes, so they
//! refer to each other by number, and their keys are stored nowhere else than in them.

use std::hash::{BuildHasher as _, RandomState};
use std::ops::{Index, IndexMut};

use hashbrown::HashTable;

use super::schedule::Node;
use crate::descriptor::Descriptor;
use crate::digest::Digest;

/// The number of a node: they are counted as they are discovered. There are more numbers than memory
/// has room for nodes.
pub(super) type Id = u32;

#[derive(Default)]
pub(super) struct Nodes {
    nodes: Vec<Node>,
    by_key: HashTable<Id>,
    hasher: RandomState,
}

/// The same bytes can be a manifest to one parent and a blob to another, and repositories keep the
/// two apart.
type Key<'a> = (&'a Digest, bool);

fn key_of(descriptor: &Descriptor) -> Key<'_> {
    (descriptor.digest(), descriptor.media_type().is_manifest())
}

impl Nodes {
    /// The node of `descriptor`, if it is known.
    pub(super) fn find(&self, descriptor: &Descriptor) -> Option<Id> {
        let key = key_of(descriptor);
        let is_same = |id: &Id| key_of(&self[*id].descriptor) == key;
        let hash = self.hasher.hash_one(key);
        self.by_key.find(hash, is_same).copied()
    }

    /// Adds a node that was not known.
    pub(super) fn add(&mut self, node: Node) -> Id {
        let id = self.nodes.len() as Id;
        self.nodes.push(node);
        let nodes = &self.nodes;
        let hash = |id: &Id| {
            self.hasher
                .hash_one(key_of(&nodes[*id as usize].descriptor))
        };
        self.by_key.insert_unique(hash(&id), id, hash);
        id
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    pub(super) fn into_vec(self) -> Vec<Node> {
        self.nodes
    }
}

impl Index<Id> for Nodes {
    type Output = Node;

    fn index(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }
}

impl IndexMut<Id> for Nodes {
    fn index_mut(&mut self, id: Id) -> &mut Node {
        &mut self.nodes[id as usize]
    }
}
