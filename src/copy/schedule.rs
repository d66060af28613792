//! The order of a copy: a graph that is discovered on the way, worked off leaves first.
//!
//! Every manifest is two pieces of work: to *inspect* it (does the destination have it? what does it
//! refer to?) and, when all of that is done, to *transfer* it. A blob is one piece of work. No piece
//! waits for another while it runs, so any bound on how many run at once is free of deadlocks.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::copier::{Copier, Outcome, Root};
use super::nodes::{Id, Nodes};
use super::progress::{CopyAction, CopyEvent, CopyStep};
use crate::descriptor::Descriptor;
use crate::error::{Error, ErrorKind, Result};
use crate::reference::Tag;

/// What is known of one piece of content. There is one for each, to the end of the copy, so they are
/// kept small.
pub(super) struct Node {
    pub(super) descriptor: Descriptor,
    place: Place,
    /// What is known of a manifest from when it is looked at until it is done.
    open: Option<Box<Open>>,
    /// What became of it, when it is done.
    action: Option<CopyAction>,
    /// How many nodes were done before.
    turn: u32,
    /// Whether the destination had it.
    present: bool,
    /// Whether the destination's word that it has this node is not to be believed.
    forced: bool,
    /// Whether the destination refused it once, and what is below it was copied anew.
    healed: bool,
}

impl Node {
    fn new(descriptor: Descriptor, place: Place) -> Self {
        Self {
            descriptor,
            place,
            open: None,
            action: None,
            turn: 0,
            present: false,
            forced: false,
            healed: false,
        }
    }

    fn is_manifest(&self) -> bool {
        self.descriptor.media_type().is_manifest()
    }

    fn is_done(&self) -> bool {
        self.action.is_some()
    }

    fn open(&mut self) -> &mut Open {
        self.open.get_or_insert_default()
    }
}

#[derive(Default)]
struct Open {
    /// The manifest's bytes, from when they are read until they are pushed.
    content: Option<Bytes>,
    /// How many nodes this one waits for.
    waits_for: u32,
    /// What it refers to, each once; kept for the case that the destination misses some of it after
    /// all.
    children: Box<[Id]>,
}

/// How a node was reached, which decides what is followed from it.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// How many steps against the graph's direction lie between it and the root.
    pub(super) steps: u32,
    /// Whether it was reached by such steps alone, so that whatever holds it may be followed.
    pub(super) upward: bool,
}

enum Work {
    Inspect(Id),
    Transfer(Id),
}

type Running<'a> = FuturesUnordered<BoxFuture<'a, (Id, Result<Outcome>)>>;

pub(super) struct Graph<'c, 'a> {
    copier: &'c Copier<'a>,
    nodes: Nodes,
    /// Last in, first out: one branch is finished before the next is begun, so that few manifests
    /// are held at a time.
    ready: Vec<Work>,
    /// The nodes that others wait for, each with one that does.
    awaited: BTreeSet<(Id, Id)>,
    /// How many nodes have been done, those counted twice that were done anew.
    turns: u32,
    root: Id,
    tags: Vec<Tag>,
}

impl<'c, 'a> Graph<'c, 'a> {
    pub(super) fn new(copier: &'c Copier<'a>, root: &Root, tags: &[Tag]) -> Self {
        let mut graph = Self {
            copier,
            nodes: Nodes::default(),
            ready: Vec::new(),
            awaited: BTreeSet::new(),
            turns: 0,
            root: 0,
            tags: tags.to_vec(),
        };
        let place = Place {
            steps: 0,
            upward: true,
        };
        graph.root = graph.discover(root.descriptor.clone(), place);
        let open = graph.nodes[graph.root].open();
        open.content.clone_from(&root.content);
        graph
    }

    /// Works everything off, with at most `concurrency` pieces of work at a time.
    pub(super) async fn run(&mut self, concurrency: usize) -> Result<()> {
        let mut running: Running<'c> = FuturesUnordered::new();
        loop {
            while running.len() < concurrency {
                let Some(work) = self.ready.pop() else { break };
                running.push(self.start(work));
            }
            match running.next().await {
                Some((id, outcome)) => self.settle(id, outcome?)?,
                None if self.ready.is_empty() => break,
                None => {}
            }
        }
        // Digests make a cycle of references impossible; a source that lies about them does not hang
        // the copy.
        match self.nodes.iter().find(|node| !node.is_done()) {
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
        let root = &self.nodes[self.root];
        let copied = root.action == Some(CopyAction::Copied);
        root.present && !copied || copied && self.tags.is_empty()
    }

    /// What became of everything, in the order in which it was done.
    pub(super) fn into_steps(self) -> Vec<CopyStep> {
        let mut nodes = self.nodes.into_vec();
        nodes.sort_unstable_by_key(|node| node.turn);
        let step = |node: Node| {
            Some(CopyStep {
                action: node.action?,
                descriptor: node.descriptor,
            })
        };
        // In the place of the nodes, which are larger.
        nodes.into_iter().filter_map(step).collect()
    }

    /// Whether this is a manifest that an index lists, of those below the root. What else the index
    /// says of it goes along with the index; kept here too, it would take more than all the rest.
    fn is_below_root(&self, id: Id) -> bool {
        let node = &self.nodes[id];
        id != self.root && node.place.steps == 0 && node.is_manifest()
    }

    /// Takes up a node, if it was not known before.
    fn discover(&mut self, descriptor: Descriptor, place: Place) -> Id {
        if let Some(id) = self.nodes.find(&descriptor) {
            return id;
        }
        self.copier.options.event(CopyEvent::Found(&descriptor));
        let id = self.nodes.add(Node::new(descriptor, place));
        self.ready.push(Work::Inspect(id));
        id
    }

    fn start(&mut self, work: Work) -> BoxFuture<'c, (Id, Result<Outcome>)> {
        let copier = self.copier;
        let (Work::Inspect(id) | Work::Transfer(id)) = work;
        let is_below_root = self.is_below_root(id);
        let node = &mut self.nodes[id];
        let descriptor = node.descriptor.clone();
        let outcome = match work {
            Work::Inspect(_) if node.is_manifest() => copier
                .inspect_manifest(
                    descriptor,
                    node.open().content.take(),
                    node.place,
                    node.forced,
                )
                .boxed(),
            Work::Inspect(_) => copier.copy_blob(descriptor).boxed(),
            Work::Transfer(_) => match node.open().content.clone() {
                None => copier.pass_over(descriptor).boxed(),
                Some(content) => {
                    let tags = if id == self.root {
                        self.tags.clone()
                    } else {
                        Vec::new()
                    };
                    let target = if is_below_root {
                        descriptor.plain()
                    } else {
                        descriptor.clone()
                    };
                    copier
                        .copy_manifest(descriptor, target, content, tags)
                        .boxed()
                }
            },
        };
        outcome.map(move |outcome| (id, outcome)).boxed()
    }

    fn settle(&mut self, id: Id, outcome: Outcome) -> Result<()> {
        match outcome {
            Outcome::Inspected {
                present,
                content,
                children,
                referrers,
            } => {
                self.settle_inspected(id, present, content, children, referrers);
                Ok(())
            }
            Outcome::Finished(action) => {
                self.finish(id, action);
                Ok(())
            }
            Outcome::Incomplete(error) => self.heal(id, error),
        }
    }

    fn settle_inspected(
        &mut self,
        id: Id,
        present: bool,
        content: Option<Bytes>,
        children: Vec<Descriptor>,
        referrers: Vec<Descriptor>,
    ) {
        let node = &mut self.nodes[id];
        let place = node.place;
        node.present = present;
        node.open().content = content;
        // Referrers first, so that they are worked on last: each of them waits for this node.
        let above = Place {
            steps: place.steps + 1,
            upward: place.upward,
        };
        for referrer in referrers {
            self.discover(referrer, above);
        }
        let below = Place {
            steps: place.steps,
            upward: false,
        };
        let discovered = children
            .into_iter()
            .rev()
            .map(|child| self.discover(child, below));
        let mut children: Vec<Id> = discovered.collect();
        children.sort_unstable();
        children.dedup();
        self.nodes[id].open().children = children.into();
        self.await_children(id);
    }

    /// Makes a node wait for those of its children that are not done, or makes it ready.
    fn await_children(&mut self, id: Id) {
        let children = std::mem::take(&mut self.nodes[id].open().children);
        let mut waits_for = 0;
        for &child in &children {
            if !self.nodes[child].is_done() {
                self.awaited.insert((child, id));
                waits_for += 1;
            }
        }
        let open = self.nodes[id].open();
        open.children = children;
        open.waits_for = waits_for;
        if waits_for == 0 {
            self.ready.push(Work::Transfer(id));
        }
    }

    fn finish(&mut self, id: Id, action: CopyAction) {
        let node = &mut self.nodes[id];
        node.open = None;
        node.action = Some(action);
        node.turn = self.turns;
        self.turns += 1;
        let event = CopyEvent::Done(&node.descriptor, action);
        self.copier.options.event(event);
        if self.is_below_root(id) {
            let node = &mut self.nodes[id];
            node.descriptor = node.descriptor.plain();
        }
        let waiting = self.awaited.range((id, Id::MIN)..=(id, Id::MAX));
        let parents: Vec<Id> = waiting.map(|(_, parent)| *parent).collect();
        for parent in parents {
            self.awaited.remove(&(id, parent));
            let open = self.nodes[parent].open();
            open.waits_for -= 1;
            if open.waits_for == 0 {
                self.ready.push(Work::Transfer(parent));
            }
        }
    }

    /// Copies the manifests below a node once more, whatever the destination says of them, and then
    /// the node. Once: a destination that still misses something has the last word.
    fn heal(&mut self, id: Id, error: Error) -> Result<()> {
        let node = &self.nodes[id];
        let error = error
            .with_operation("copy")
            .with_subject(node.descriptor.digest());
        let children = node.open.iter().flat_map(|open| &open.children).copied();
        let below: Vec<Id> = children
            .filter(|id| self.nodes[*id].is_manifest())
            .collect();
        if below.is_empty() || std::mem::replace(&mut self.nodes[id].healed, true) {
            return Err(error);
        }
        for child in below {
            // Another parent may have had the same trouble: then it is on its way already.
            let node = &mut self.nodes[child];
            if !std::mem::replace(&mut node.forced, true) {
                node.action = None;
                self.ready.push(Work::Inspect(child));
            }
        }
        self.await_children(id);
        Ok(())
    }
}
