//! All that is part of a copy, each piece of content once. A graph can have very many nodes, so they
//! refer to each other by number, and their keys are stored nowhere else than in them.

use std::hash::{BuildHasher as _, RandomState};
use std::ops::{Index, IndexMut};

use bytes::Bytes;
use hashbrown::HashTable;

use super::progress::CopyAction;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};

/// The number of a node: they are counted as they are discovered. There are more numbers than memory
/// has room for nodes.
pub(super) type Id = u32;

/// One piece of content. There is one for each, to the end of the copy, so they are
/// kept small.
pub(super) struct Node {
    pub(super) descriptor: Descriptor,
    /// The state of a manifest from its inspection until it is done.
    pub(super) open: Option<Box<Open>>,
    /// What became of it, when it is done.
    pub(super) action: Option<CopyAction>,
    /// How many nodes were done before.
    pub(super) turn: u32,
    /// Whether steps against the direction of the graph alone lead to it, so that whatever refers to it
    /// may be followed.
    pub(super) is_upward: bool,
    /// Whether its referrers have been asked for.
    pub(super) followed: bool,
    /// Whether the destination had it.
    pub(super) present: bool,
    /// Whether the destination's word that it has this node is not to be believed.
    pub(super) forced: bool,
    /// Whether the destination refused it once, and what is below it was copied anew.
    pub(super) healed: bool,
}

#[derive(Default)]
pub(super) struct Open {
    /// The manifest's bytes, from when they are read until they are pushed.
    pub(super) content: Option<Bytes>,
    /// How many nodes this one waits for.
    pub(super) waits_for: u32,
    /// What it refers to, each once; kept for the case that the destination misses some of it after
    /// all.
    pub(super) children: Box<[Id]>,
}

impl Node {
    pub(super) fn new(descriptor: Descriptor) -> Self {
        Self {
            descriptor,
            open: None,
            action: None,
            turn: 0,
            is_upward: false,
            followed: false,
            present: false,
            forced: false,
            healed: false,
        }
    }

    pub(super) fn is_manifest(&self) -> bool {
        self.descriptor.media_type().is_manifest()
    }

    pub(super) fn is_done(&self) -> bool {
        self.action.is_some()
    }

    pub(super) fn open(&mut self) -> &mut Open {
        self.open.get_or_insert_default()
    }
}

#[derive(Default)]
pub(super) struct Nodes {
    nodes: Vec<Node>,
    by_digest: HashTable<Id>,
    hasher: RandomState,
}

impl Nodes {
    /// The node of `descriptor`, if it is known. The same bytes can be a manifest to one parent and a
    /// blob to another, and repositories keep the two apart.
    ///
    /// # Errors
    /// - [`ErrorKind::SizeMismatch`] if the content is known with another size, whatever its type.
    /// - [`ErrorKind::InvalidManifest`] if it is an index to one parent and not to another: which of the
    ///   two was found first would decide what is below it.
    pub(super) fn find(&self, descriptor: &Descriptor) -> Result<Option<Id>> {
        let mut found = None;
        for &id in self.by_digest.iter_hash(self.hash(descriptor.digest())) {
            let known = &self[id].descriptor;
            if known.digest() != descriptor.digest() {
                continue;
            }
            if known.size() != descriptor.size() {
                let (one, other) = (known.size(), descriptor.size());
                let message = format!("has {one} bytes in one manifest and {other} in another");
                return Err(contradiction(ErrorKind::SizeMismatch, message, descriptor));
            }
            let (one, other) = (known.media_type(), descriptor.media_type());
            if one.is_manifest() && other.is_manifest() && one.is_index() != other.is_index() {
                let message = format!("has the type {one} in one manifest and {other} in another");
                return Err(contradiction(
                    ErrorKind::InvalidManifest,
                    message,
                    descriptor,
                ));
            }
            if one.is_manifest() == other.is_manifest() {
                found = Some(id);
            }
        }
        Ok(found)
    }

    /// Adds a node that was not known.
    pub(super) fn add(&mut self, node: Node) -> Id {
        let id = self.nodes.len() as Id;
        let hash = self.hash(node.descriptor.digest());
        self.nodes.push(node);
        let (nodes, hasher) = (&self.nodes, &self.hasher);
        let rehash = |id: &Id| hasher.hash_one(nodes[*id as usize].descriptor.digest());
        self.by_digest.insert_unique(hash, id, rehash);
        id
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    pub(super) fn into_vec(self) -> Vec<Node> {
        self.nodes
    }

    fn hash(&self, digest: &Digest) -> u64 {
        self.hasher.hash_one(digest)
    }
}

fn contradiction(kind: ErrorKind, message: String, descriptor: &Descriptor) -> Error {
    Error::new(kind, message)
        .with_operation("copy")
        .with_subject(descriptor.digest())
        .with_hint("two of the manifests that refer to it contradict each other; push them again")
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
