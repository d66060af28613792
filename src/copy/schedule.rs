//! The order of a copy: a graph that is discovered on the way, worked off leaves first.
//!
//! Every manifest is two pieces of work: to *inspect* it (does the destination have it? what does it
//! refer to?) and, when all of that is done, to *transfer* it. A blob is one piece of work. No piece
//! waits for another while it runs, so any bound on how many run at once is free of deadlocks.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::copier::{Copier, Outcome, Root};
use super::progress::{CopyAction, CopyEvent, CopyStep};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::reference::Tag;

/// The same bytes can be a manifest to one parent and a blob to another, and repositories keep the
/// two apart.
pub(super) type Key = (Digest, bool);

pub(super) fn key_of(descriptor: &Descriptor) -> Key {
    (*descriptor.digest(), descriptor.media_type().is_manifest())
}

struct Node {
    descriptor: Descriptor,
    /// The manifest's bytes, from when they are read until they are pushed.
    content: Option<Bytes>,
    /// Who waits for this node.
    parents: Vec<Key>,
    /// Which nodes this one waits for.
    waits_for: HashSet<Key>,
    /// What it refers to; kept for the case that the destination misses some of it after all.
    children: Vec<Key>,
    place: Place,
    state: State,
    /// Whether the destination had it.
    present: bool,
    /// Whether the destination's word that it has this node is not to be believed.
    forced: bool,
    /// Whether the destination refused it once, and what is below it was copied anew.
    healed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Being looked at, waiting for what it refers to, or on its way.
    Open,
    Done,
}

/// How a node was reached, which decides what is followed from it.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// How many steps against the graph's direction lie between it and the root.
    pub(super) steps: usize,
    /// Whether it was reached by such steps alone, so that whatever holds it may be followed.
    pub(super) upward: bool,
}

enum Work {
    Inspect(Key),
    Transfer(Key),
}

type Running<'a> = FuturesUnordered<BoxFuture<'a, Result<Outcome>>>;

pub(super) struct Graph<'c, 'a> {
    copier: &'c Copier<'a>,
    nodes: HashMap<Key, Node>,
    /// Last in, first out: one branch is finished before the next is begun, so that few manifests
    /// are held at a time.
    ready: Vec<Work>,
    pub(super) steps: Vec<CopyStep>,
    root: Key,
    tags: Vec<Tag>,
}

impl<'c, 'a> Graph<'c, 'a> {
    pub(super) fn new(copier: &'c Copier<'a>, root: &Root, tags: &[Tag]) -> Self {
        let mut graph = Self {
            copier,
            nodes: HashMap::new(),
            ready: Vec::new(),
            steps: Vec::new(),
            root: key_of(&root.descriptor),
            tags: tags.to_vec(),
        };
        let place = Place {
            steps: 0,
            upward: true,
        };
        graph.discover(&root.descriptor, place);
        if let Some(node) = graph.nodes.get_mut(&graph.root) {
            node.content.clone_from(&root.content);
        }
        graph
    }

    /// Works everything off, with at most `concurrency` pieces of work at a time.
    pub(super) async fn run(&mut self, concurrency: usize) -> Result<()> {
        let mut running: Running<'c> = FuturesUnordered::new();
        loop {
            while running.len() < concurrency {
                let Some(work) = self.ready.pop() else { break };
                running.extend(self.start(work));
            }
            match running.next().await {
                Some(outcome) => self.settle(outcome?)?,
                None if self.ready.is_empty() => break,
                None => {}
            }
        }
        // Digests make a cycle of references impossible; a source that lies about them does not hang
        // the copy.
        match self.nodes.values().find(|node| node.state != State::Done) {
            Some(stuck) => Err(Error::new(
                ErrorKind::InvalidManifest,
                "the manifests refer to each other in a circle",
            )
            .with_subject(stuck.descriptor.digest())),
            None => Ok(()),
        }
    }

    /// Whether the root is at the destination but its tags were not set with it. A root that the
    /// caller left out gets none.
    pub(super) fn has_untagged_root(&self) -> bool {
        let present = self.nodes.get(&self.root).is_some_and(|root| root.present);
        let copied = self
            .steps
            .iter()
            .any(|step| key_of(&step.descriptor) == self.root && step.action == CopyAction::Copied);
        present && !copied || copied && self.tags.is_empty()
    }

    /// Takes up a node that was not known before.
    fn discover(&mut self, descriptor: &Descriptor, place: Place) {
        let key = key_of(descriptor);
        if self.nodes.contains_key(&key) {
            return;
        }
        self.copier.options.event(CopyEvent::Found(descriptor));
        self.nodes.insert(
            key,
            Node {
                descriptor: descriptor.clone(),
                content: None,
                parents: Vec::new(),
                waits_for: HashSet::new(),
                children: Vec::new(),
                place,
                state: State::Open,
                present: false,
                forced: false,
                healed: false,
            },
        );
        self.ready.push(Work::Inspect(key));
    }

    fn start(&mut self, work: Work) -> Option<BoxFuture<'c, Result<Outcome>>> {
        let copier = self.copier;
        match work {
            Work::Inspect(key) => {
                let node = self.nodes.get_mut(&key)?;
                let descriptor = node.descriptor.clone();
                let (_, is_manifest) = key;
                Some(if is_manifest {
                    copier
                        .inspect_manifest(descriptor, node.content.take(), node.place, node.forced)
                        .boxed()
                } else {
                    copier.copy_blob(descriptor).boxed()
                })
            }
            Work::Transfer(key) => {
                let node = self.nodes.get(&key)?;
                let descriptor = node.descriptor.clone();
                let Some(content) = node.content.clone() else {
                    return Some(copier.pass_over(descriptor).boxed());
                };
                let tags = if key == self.root {
                    self.tags.clone()
                } else {
                    Vec::new()
                };
                Some(copier.copy_manifest(descriptor, content, tags).boxed())
            }
        }
    }

    fn settle(&mut self, outcome: Outcome) -> Result<()> {
        match outcome {
            Outcome::Inspected {
                key,
                present,
                content,
                children,
                referrers,
            } => {
                self.settle_inspected(key, present, content, &children, &referrers);
                Ok(())
            }
            Outcome::Finished(key, action) => {
                self.finish(key, action);
                Ok(())
            }
            Outcome::Incomplete(key, error) => self.heal(key, error),
        }
    }

    fn settle_inspected(
        &mut self,
        key: Key,
        present: bool,
        content: Option<Bytes>,
        children: &[Descriptor],
        referrers: &[Descriptor],
    ) {
        let Some(node) = self.nodes.get_mut(&key) else {
            return;
        };
        let place = node.place;
        node.present = present;
        node.content = content;
        node.children = children.iter().map(key_of).collect();
        // Referrers first, so that they are worked on last: each of them waits for this node.
        for referrer in referrers {
            let above = Place {
                steps: place.steps + 1,
                upward: place.upward,
            };
            self.discover(referrer, above);
        }
        let below = Place {
            steps: place.steps,
            upward: false,
        };
        for child in children.iter().rev() {
            self.discover(child, below);
        }
        self.await_children(key);
    }

    /// Makes a node wait for those of its children that are not done, or makes it ready.
    fn await_children(&mut self, key: Key) {
        let Some(node) = self.nodes.get(&key) else {
            return;
        };
        let open: HashSet<Key> = node
            .children
            .iter()
            .filter(|child| {
                self.nodes
                    .get(child)
                    .is_some_and(|child| child.state != State::Done)
            })
            .copied()
            .collect();
        if open.is_empty() {
            self.ready.push(Work::Transfer(key));
            return;
        }
        for child in &open {
            if let Some(child) = self.nodes.get_mut(child) {
                child.parents.push(key);
            }
        }
        if let Some(node) = self.nodes.get_mut(&key) {
            node.waits_for = open;
        }
    }

    fn finish(&mut self, key: Key, action: CopyAction) {
        let Some(node) = self.nodes.get_mut(&key) else {
            return;
        };
        node.state = State::Done;
        node.content = None;
        let parents = std::mem::take(&mut node.parents);
        let descriptor = node.descriptor.clone();
        self.copier
            .options
            .event(CopyEvent::Done(&descriptor, action));
        self.steps.push(CopyStep { descriptor, action });
        for parent in parents {
            let Some(node) = self.nodes.get_mut(&parent) else {
                continue;
            };
            if node.waits_for.remove(&key) && node.waits_for.is_empty() {
                self.ready.push(Work::Transfer(parent));
            }
        }
    }

    /// Copies the manifests below a node once more, whatever the destination says of them, and then
    /// the node. Once: a destination that still misses something has the last word.
    fn heal(&mut self, key: Key, error: Error) -> Result<()> {
        let (digest, _) = key;
        let error = error.with_operation("copy").with_subject(digest);
        let Some(node) = self.nodes.get_mut(&key) else {
            return Err(error);
        };
        let below: Vec<Key> = node
            .children
            .iter()
            .filter(|(_, is_manifest)| *is_manifest)
            .copied()
            .collect();
        if below.is_empty() || std::mem::replace(&mut node.healed, true) {
            return Err(error);
        }
        self.steps
            .retain(|step| !below.contains(&key_of(&step.descriptor)));
        for child in below {
            // Another parent may have had the same trouble: then it is on its way already.
            let Some(node) = self.nodes.get_mut(&child) else {
                continue;
            };
            if !std::mem::replace(&mut node.forced, true) {
                node.state = State::Open;
                self.ready.push(Work::Inspect(child));
            }
        }
        self.await_children(key);
        Ok(())
    }
}
