//! The order of a copy: a graph that is discovered on the way, worked off leaves first.
//!
//! Every manifest is two pieces of work: to *inspect* it (does the destination have it? what does it
//! refer to?) and, when all of that is done, to *transfer* it. A blob is one piece of work. No piece
//! waits for another while it runs, so any bound on how many run at once is free of deadlocks.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use futures_util::{FutureExt as _, TryStreamExt as _};

use super::options::{CopyOptions, Existing, ExtendedCopyOptions, Follow};
use super::progress::{CopyAction, CopyEvent, CopyReport, CopyStep};
use super::transfer::Transfer;
use crate::capabilities::Support;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result, ResultExt as _};
use crate::manifest::ManifestDocument;
use crate::reference::{Tag, TagOrDigest};
use crate::registry::Repository;

/// Where a copy begins.
pub(super) struct Root {
    descriptor: Descriptor,
    content: Option<Bytes>,
}

impl Root {
    pub(super) fn read(descriptor: Descriptor, content: Bytes) -> Self {
        Self {
            descriptor,
            content: Some(content),
        }
    }

    pub(super) fn unread(descriptor: Descriptor) -> Self {
        Self {
            descriptor,
            content: None,
        }
    }
}

/// The same bytes can be a manifest to one parent and a blob to another, and repositories keep the
/// two apart.
type Key = (Digest, bool);

fn key_of(descriptor: &Descriptor) -> Key {
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
struct Place {
    /// How many steps against the graph's direction lie between it and the root.
    steps: usize,
    /// Whether it was reached by such steps alone, so that whatever holds it may be followed.
    upward: bool,
}

enum Work {
    Inspect(Key),
    Transfer(Key),
}

/// What a finished piece of work has to say.
enum Outcome {
    /// A manifest, and what is known of it now.
    Inspected {
        key: Key,
        present: bool,
        content: Option<Bytes>,
        children: Vec<Descriptor>,
        referrers: Vec<Descriptor>,
    },
    Finished(Key, CopyAction),
    /// The destination refused a manifest because it misses something that it refers to.
    Incomplete(Key, Error),
}

type Running<'a> = FuturesUnordered<BoxFuture<'a, Result<Outcome>>>;

pub(super) struct Copier<'a> {
    source: &'a dyn Repository,
    destination: &'a dyn Repository,
    options: &'a CopyOptions,
    extended: Option<&'a ExtendedCopyOptions>,
}

impl<'a> Copier<'a> {
    pub(super) fn new(
        source: &'a dyn Repository,
        destination: &'a dyn Repository,
        options: &'a CopyOptions,
        extended: Option<&'a ExtendedCopyOptions>,
    ) -> Self {
        Self {
            source,
            destination,
            options,
            extended,
        }
    }

    /// Copies everything and sets the tags.
    pub(super) async fn run(&self, root: Root, tags: &[Tag]) -> Result<CopyReport> {
        if let Support::No(reason) = self.destination.capabilities().push {
            return Err(Error::unsupported(reason)
                .with_operation("copy to")
                .with_subject(self.destination.name()));
        }
        if self.is_complete(&root.descriptor, tags).await? {
            return self.skip_all(root.descriptor).await;
        }
        // A referrer needs its subject, so with referrers the root is pushed before the end; the
        // tags are set when everything is there.
        let tags_with_root: &[Tag] = if self.extended.is_none() { tags } else { &[] };
        let mut graph = Graph::new(self, &root, tags_with_root);
        graph.run().await?;
        let still_to_tag = graph.has_untagged_root();
        let report = CopyReport {
            root: root.descriptor,
            steps: graph.steps,
        };
        if still_to_tag && !self.options.dry_run {
            for tag in tags {
                self.destination
                    .tag(&report.root, tag)
                    .await
                    .during("tag", tag)?;
            }
        }
        Ok(report)
    }

    /// Whether every tag names the root already: one question answers for the whole copy.
    async fn is_complete(&self, root: &Descriptor, tags: &[Tag]) -> Result<bool> {
        if tags.is_empty() || self.extended.is_some() || self.options.existing != Existing::Trust {
            return Ok(false);
        }
        for tag in tags {
            match self
                .destination
                .resolve(&TagOrDigest::Tag(tag.clone()))
                .await
            {
                Ok(found) if found.same_content(root) => {}
                Ok(_) => return Ok(false),
                Err(error) if error.is_not_found() => return Ok(false),
                Err(error) => return Err(error.with_operation("resolve").with_subject(tag)),
            }
        }
        Ok(true)
    }

    async fn skip_all(&self, root: Descriptor) -> Result<CopyReport> {
        self.event(CopyEvent::Found(&root));
        self.finish_skipped(&root).await?;
        self.event(CopyEvent::Done(&root, CopyAction::Skipped));
        let step = CopyStep {
            descriptor: root.clone(),
            action: CopyAction::Skipped,
        };
        Ok(CopyReport {
            root,
            steps: vec![step],
        })
    }

    fn event(&self, event: CopyEvent<'_>) {
        if let Some(hooks) = &self.options.hooks {
            hooks.on_event(event);
        }
    }

    async fn finish_skipped(&self, node: &Descriptor) -> Result<()> {
        match &self.options.hooks {
            Some(hooks) if !self.options.dry_run => hooks.on_skipped(node).await,
            _ => Ok(()),
        }
    }

    async fn inspect_manifest(
        &self,
        node: Descriptor,
        content: Option<Bytes>,
        place: Place,
        forced: bool,
    ) -> Result<Outcome> {
        let key = key_of(&node);
        let present = !forced
            && self
                .destination
                .exists(&node)
                .await
                .during("look for", node.digest())?;
        let referrers = self.followed_from(&node, place).await?;
        let trusted = present && self.options.existing == Existing::Trust;
        // Below an index that is there, manifests may have referrers that are not.
        let needed = !trusted || (self.extended.is_some() && node.media_type().is_index());
        if !needed {
            return Ok(Outcome::Inspected {
                key,
                present,
                content: None,
                children: Vec::new(),
                referrers,
            });
        }
        let content = match content {
            Some(content) => content,
            None => self
                .source
                .fetch(&node)
                .await
                .during("fetch", node.digest())?
                .bytes(self.options.max_manifest_size)
                .await
                .during("fetch", node.digest())?,
        };
        let mut children = self.successors(&node, &content).await?;
        if trusted {
            children.retain(|child| child.media_type().is_manifest());
        }
        Ok(Outcome::Inspected {
            key,
            present,
            content: (!present).then_some(content),
            children,
            referrers,
        })
    }

    async fn successors(&self, node: &Descriptor, content: &[u8]) -> Result<Vec<Descriptor>> {
        let document =
            ManifestDocument::decode(node.media_type(), content).during("decode", node.digest())?;
        let mut found = document.map_or_else(Vec::new, |document| document.successors());
        if !self.options.include_non_distributable {
            found.retain(|child| !child.media_type().is_non_distributable());
        }
        match &self.options.hooks {
            Some(hooks) => hooks.successors(node, found).await,
            None => Ok(found),
        }
    }

    /// What an extended copy goes on to from `node`, against the direction of the graph.
    async fn followed_from(&self, node: &Descriptor, place: Place) -> Result<Vec<Descriptor>> {
        let Some(extended) = self.extended else {
            return Ok(Vec::new());
        };
        if extended.depth.is_some_and(|depth| place.steps >= depth) {
            return Ok(Vec::new());
        }
        let mut found: Vec<Descriptor> = if extended.follow == Follow::Predecessors && place.upward
        {
            self.source
                .predecessors(node)
                .await
                .during("find predecessors of", node.digest())?
        } else {
            self.source
                .referrers(node, None)
                .try_collect()
                .await
                .during("list referrers of", node.digest())?
        };
        found.retain(|referrer| extended.follows(referrer));
        Ok(found)
    }

    /// Copies a blob, or says that it need not be.
    async fn copy_blob(&self, node: Descriptor) -> Result<Outcome> {
        let transfer = Transfer::new(self.source, self.destination, self.options, &node);
        let action = transfer.blob().await.during("copy", node.digest())?;
        Ok(Outcome::Finished(key_of(&node), action))
    }

    async fn copy_manifest(
        &self,
        node: Descriptor,
        content: Bytes,
        tags: Vec<Tag>,
    ) -> Result<Outcome> {
        let transfer = Transfer::new(self.source, self.destination, self.options, &node);
        match transfer.manifest(content, &tags).await {
            Ok(action) => Ok(Outcome::Finished(key_of(&node), action)),
            Err(error) if error.kind() == ErrorKind::ManifestBlobUnknown => {
                Ok(Outcome::Incomplete(key_of(&node), error))
            }
            Err(error) => Err(error.with_operation("copy").with_subject(node.digest())),
        }
    }

    async fn pass_over(&self, node: Descriptor) -> Result<Outcome> {
        self.finish_skipped(&node).await?;
        Ok(Outcome::Finished(key_of(&node), CopyAction::Skipped))
    }
}

struct Graph<'c, 'a> {
    copier: &'c Copier<'a>,
    nodes: HashMap<Key, Node>,
    /// Last in, first out: one branch is finished before the next is begun, so that few manifests
    /// are held at a time.
    ready: Vec<Work>,
    steps: Vec<CopyStep>,
    root: Key,
    tags: Vec<Tag>,
}

impl<'c, 'a> Graph<'c, 'a> {
    fn new(copier: &'c Copier<'a>, root: &Root, tags: &[Tag]) -> Self {
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

    async fn run(&mut self) -> Result<()> {
        let mut running: Running<'c> = FuturesUnordered::new();
        loop {
            while running.len() < self.copier.options.concurrency.max(1) {
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
    fn has_untagged_root(&self) -> bool {
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
        self.copier.event(CopyEvent::Found(descriptor));
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
        self.copier.event(CopyEvent::Done(&descriptor, action));
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
