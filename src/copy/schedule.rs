//! The order of a copy: a graph that is discovered on the way, worked off leaves first.
//!
//! Every manifest is two pieces of work: to *inspect* it (does the destination have it? what does it
//! refer to?) and, when all of that is done, to *transfer* it. A blob is one piece of work. An extended
//! copy also *follows* nodes against the direction of the graph, level by level (see [`Levels`]). No
//! piece waits for another while it runs, so any bound on how many run at once is free of deadlocks.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::attached::Attached;
use super::bounds::ReferrerBounds;
use super::copier::{Copier, Outcome};
use super::levels::Levels;
use super::nodes::{Id, Node, Nodes};
use super::progress::{CopyAction, CopyEvent, CopyStep};
use crate::descriptor::Descriptor;
use crate::error::{Error, ErrorKind, Result, ResultExt as _};
use crate::reference::Tag;

enum Work {
    Inspect(Id),
    Transfer(Id),
    /// Upward too, if the node was found so before the step began.
    Follow(Id, bool),
}

/// When newly found work is done.
#[derive(Clone, Copy)]
enum Turn {
    /// Next: one branch is finished before another is begun, so that few manifests are held at a time.
    Soon,
    /// After everything that is ready: it waits for some of that anyway.
    Late,
}

type Running<'a> = FuturesUnordered<BoxFuture<'a, (Id, Result<Outcome>)>>;

pub(super) struct Graph<'c, 'a> {
    copier: &'c Copier<'a>,
    nodes: Nodes,
    levels: Levels,
    bounds: ReferrerBounds,
    attached: Attached,
    /// The work that can be done, the next piece last.
    ready: VecDeque<Work>,
    /// The nodes that others wait for, each with one that does.
    awaited: BTreeSet<(Id, Id)>,
    /// How many nodes have been done, those counted twice that were done anew.
    turns: u32,
    root: Id,
    tags: Vec<Tag>,
}

impl<'c, 'a> Graph<'c, 'a> {
    /// The graph below `root`, which gets `tags` when it is pushed.
    pub(super) fn new(
        copier: &'c Copier<'a>,
        root: Descriptor,
        content: Option<Bytes>,
        tags: &[Tag],
    ) -> Result<Self> {
        let mut graph = Self {
            copier,
            nodes: Nodes::default(),
            levels: Levels::new(copier.extended),
            bounds: ReferrerBounds::default(),
            attached: Attached::default(),
            ready: VecDeque::new(),
            awaited: BTreeSet::new(),
            turns: 0,
            root: 0,
            tags: tags.to_vec(),
        };
        let is_upward = graph.levels.go_upward();
        graph.root = graph.discover(root, is_upward, Turn::Soon)?;
        graph.nodes[graph.root].open().content = content;
        Ok(graph)
    }

    /// Works everything off, with at most `concurrency` pieces of work at a time.
    pub(super) async fn run(&mut self, concurrency: usize) -> Result<()> {
        let mut running: Running<'c> = FuturesUnordered::new();
        loop {
            for id in self.levels.step() {
                self.levels.search_begins();
                let is_upward = self.nodes[id].is_upward;
                self.ready.push_front(Work::Follow(id, is_upward));
            }
            while running.len() < concurrency {
                let Some(work) = self.ready.pop_back() else {
                    break;
                };
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

    /// Returns the tags of manifests that were found by them: those that are still to be set, and all of them.
    pub(super) fn take_attached(&mut self) -> (Vec<(Descriptor, Tag)>, Vec<Tag>) {
        std::mem::take(&mut self.attached).finish(&self.nodes)
    }

    /// Makes the next [`run`](Self::run) copy a manifest once more that the destination has, and what is missing
    /// below it, blobs included. Returns `false` if that has been done before, or if the manifest is unknown.
    pub(super) fn distrust(
        &mut self,
        manifest: &Descriptor,
        content: Option<Bytes>,
    ) -> Result<bool> {
        let Some(id) = self.nodes.find(manifest)? else {
            return Ok(false);
        };
        if !self.force(id) {
            return Ok(false);
        }
        self.nodes[id].open().content = content;
        Ok(true)
    }

    /// Whether the caller left a manifest out.
    pub(super) fn is_left_out(&self, manifest: &Descriptor) -> Result<bool> {
        let id = self.nodes.find(manifest)?;
        Ok(id.is_some_and(|id| self.nodes[id].action == Some(CopyAction::LeftOut)))
    }

    /// Returns what became of everything, in the order in which it was done.
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

    /// Returns the part of a node's descriptor that is pushed and reported: of a manifest other than the root
    /// only type, digest and size. The platform and annotations in an index come with that index. They would
    /// take more memory than all the rest, and depend on which parent was read first.
    fn shorten(&self, id: Id) -> Descriptor {
        let node = &self.nodes[id];
        if id != self.root && node.is_manifest() {
            node.descriptor.plain()
        } else {
            node.descriptor.clone()
        }
    }

    /// Takes up a node, if it was not known before. It is upward if steps against the direction of the
    /// graph alone led there.
    fn discover(&mut self, descriptor: Descriptor, is_upward: bool, turn: Turn) -> Result<Id> {
        let known = self.nodes.find(&descriptor)?;
        let id = match known {
            Some(id) => id,
            None => {
                self.copier.options.event(CopyEvent::Found(&descriptor));
                if descriptor.media_type().is_manifest() {
                    self.levels.search_begins();
                }
                let id = self.nodes.add(Node::new(descriptor));
                match turn {
                    Turn::Soon => self.ready.push_back(Work::Inspect(id)),
                    Turn::Late => self.ready.push_front(Work::Inspect(id)),
                }
                id
            }
        };
        let node = &mut self.nodes[id];
        let is_news = known.is_none() || is_upward && !node.is_upward;
        node.is_upward |= is_upward;
        // Manifests alone have referrers; a blob can be followed to the manifests that have it.
        if is_news && (node.is_manifest() || is_upward) {
            self.levels.reach(id);
        }
        Ok(id)
    }

    fn start(&mut self, work: Work) -> BoxFuture<'c, (Id, Result<Outcome>)> {
        let copier = self.copier;
        let (Work::Inspect(id) | Work::Transfer(id) | Work::Follow(id, _)) = work;
        let target = self.shorten(id);
        let look_below = self.levels.will_step();
        let node = &mut self.nodes[id];
        let descriptor = node.descriptor.clone();
        let outcome = match work {
            Work::Inspect(_) if node.is_manifest() => copier
                .inspect_manifest(
                    descriptor,
                    node.open().content.take(),
                    look_below,
                    node.forced,
                )
                .boxed(),
            Work::Inspect(_) => copier.copy_blob(descriptor).boxed(),
            Work::Transfer(_) => match node.open().content.clone() {
                None => copier.pass_over(descriptor).boxed(),
                Some(content) => {
                    let mut tags = self.attached.push(id);
                    if id == self.root {
                        tags.extend_from_slice(&self.tags);
                    }
                    let is_first_try = !node.healed;
                    copier
                        .copy_manifest(descriptor, target, content, tags, is_first_try)
                        .boxed()
                }
            },
            Work::Follow(_, is_upward) => {
                let with_tags = node.is_manifest() && !std::mem::replace(&mut node.followed, true);
                copier.follow(descriptor, is_upward, with_tags).boxed()
            }
        };
        outcome.map(move |outcome| (id, outcome)).boxed()
    }

    fn settle(&mut self, id: Id, outcome: Outcome) -> Result<()> {
        match outcome {
            Outcome::Inspected {
                present,
                content,
                children,
            } => {
                let node = &mut self.nodes[id];
                node.present = present;
                node.open().content = content;
                self.settle_children(id, children)?;
                self.levels.search_ends();
                Ok(())
            }
            Outcome::Followed {
                is_upward,
                found,
                attached,
            } => {
                let steps = self.levels.steps();
                let attached_too = attached.iter().map(|(_, descriptor)| descriptor);
                let admitted = self.bounds.admit(steps, found.iter().chain(attached_too));
                admitted.during("list referrers of", self.nodes[id].descriptor.digest())?;
                for descriptor in found {
                    self.discover(descriptor, is_upward, Turn::Late)?;
                }
                for (tag, descriptor) in attached {
                    let id = self.discover(descriptor, is_upward, Turn::Late)?;
                    self.attached.add(id, tag);
                }
                self.levels.search_ends();
                Ok(())
            }
            Outcome::Finished(action) => {
                self.finish(id, action);
                Ok(())
            }
            Outcome::Incomplete(error) => self.heal(id, error),
        }
    }

    fn settle_children(&mut self, id: Id, children: Vec<Descriptor>) -> Result<()> {
        let discovered = children
            .into_iter()
            .rev()
            .map(|child| self.discover(child, false, Turn::Soon));
        let mut children = discovered.collect::<Result<Vec<Id>>>()?;
        children.sort_unstable();
        children.dedup();
        self.nodes[id].open().children = children.into();
        self.await_children(id);
        Ok(())
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
            self.ready.push_back(Work::Transfer(id));
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
        self.nodes[id].descriptor = self.shorten(id);
        let waiting = self.awaited.range((id, Id::MIN)..=(id, Id::MAX));
        let parents: Vec<Id> = waiting.map(|(_, parent)| *parent).collect();
        for parent in parents {
            self.awaited.remove(&(id, parent));
            let open = self.nodes[parent].open();
            open.waits_for -= 1;
            if open.waits_for == 0 {
                self.ready.push_back(Work::Transfer(parent));
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
            self.force(child);
        }
        self.await_children(id);
        Ok(())
    }

    /// Looks at a manifest anew as if the destination did not have it. Returns `false` if that has been done
    /// before.
    fn force(&mut self, id: Id) -> bool {
        let node = &mut self.nodes[id];
        if std::mem::replace(&mut node.forced, true) {
            return false;
        }
        node.action = None;
        self.levels.search_begins();
        self.ready.push_back(Work::Inspect(id));
        true
    }
}
