//! What the manifests of a layout refer to. Manifests never change, so each is read once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tranship::{
    Annotations, Descriptor, Digest, Error, ManifestDocument, MediaType, describe_referrer,
};

use crate::children::Children;
use crate::index::{Holders, Snapshot, UNTYPED};

/// What is known of one manifest. A layout can have very many, so only what differs is kept.
#[derive(Debug)]
pub(crate) struct Node {
    plain: Descriptor,
    /// As a list of referrers names it.
    pub(crate) artifact_type: Option<MediaType>,
    /// Whether an entry of `index.json` has the artifact type too.
    has_entry_type: bool,
    /// Whether its content does not tell its media type, so that an entry of `index.json` has to.
    is_untyped: bool,
    annotations: Annotations,
    pub(crate) subject: Option<Digest>,
    /// The manifests that it lists, if it is an index.
    pub(crate) children: Children,
}

impl Node {
    /// The manifest `plain`, whose document is `document`, and what it refers to beside its children.
    pub(crate) fn new(plain: &Descriptor, document: ManifestDocument) -> (Self, Vec<Digest>) {
        let described = describe_referrer(plain, &document);
        let subject = document.subject().map(|subject| *subject.digest());
        let declared = match &document {
            ManifestDocument::Manifest(manifest) => manifest.artifact_type.as_ref(),
            ManifestDocument::Index(index) => index.artifact_type.as_ref(),
            _ => described.artifact_type(),
        };
        // A config's media type stands for the type of an artifact only where one is looked for.
        let has_entry_type =
            subject.is_some() || declared.is_some_and(|kind| !kind.as_str().is_empty());
        let is_untyped = document.own_media_type().is_none()
            && match &document {
                ManifestDocument::Manifest(_) => *plain.media_type() != MediaType::IMAGE_MANIFEST,
                ManifestDocument::Index(_) => *plain.media_type() != MediaType::IMAGE_INDEX,
                _ => true,
            };
        let (children, leaves) = match document {
            // An index can list very many, which were decoded to be kept.
            ManifestDocument::Index(index) => (index.manifests, Vec::from_iter(subject)),
            document => {
                let successors = document.into_successors();
                let leaves = successors.iter().map(|leaf| *leaf.digest()).collect();
                (Vec::new(), leaves)
            }
        };
        let node = Self {
            plain: plain.plain(),
            artifact_type: described.artifact_type().cloned(),
            has_entry_type,
            is_untyped,
            annotations: described.annotations().clone(),
            subject,
            children: children.into(),
        };
        (node, leaves)
    }

    pub(crate) fn plain(&self) -> &Descriptor {
        &self.plain
    }

    /// As a list of referrers describes it.
    pub(crate) fn described(&self) -> Descriptor {
        self.plain
            .clone()
            .with_artifact_type(self.artifact_type.clone())
            .with_annotations(self.annotations.clone())
    }

    /// As an entry of `index.json` describes it.
    pub(crate) fn entry(&self) -> Descriptor {
        let artifact_type = self.artifact_type.clone().filter(|_| self.has_entry_type);
        let entry = self.plain.clone().with_artifact_type(artifact_type);
        if self.is_untyped {
            entry.with_annotation(UNTYPED, "true")
        } else {
            entry
        }
    }

    fn child_manifests(&self) -> impl Iterator<Item = &Descriptor> {
        self.children
            .iter()
            .filter(|child| child.media_type().is_manifest())
    }
}

/// The manifests that have been read, and who refers to whom among them.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    nodes: HashMap<Digest, Arc<Node>>,
    /// By what is referred to. What is here may have been deleted since, by another process too.
    predecessors: BTreeMap<Digest, Predecessors>,
    reachable: Option<(Arc<Snapshot>, Arc<Reachable>)>,
}

/// The manifests that refer to something: one to nearly every blob.
#[derive(Debug)]
enum Predecessors {
    One(Arc<Node>),
    Several(Vec<Arc<Node>>),
}

impl Predecessors {
    fn as_slice(&self) -> &[Arc<Node>] {
        match self {
            Self::One(node) => std::slice::from_ref(node),
            Self::Several(nodes) => nodes,
        }
    }

    /// Adds a manifest, once: all that it refers to is told in one go.
    fn add(&mut self, node: &Arc<Node>) {
        let is_last = |last| Arc::ptr_eq(last, node);
        if self.as_slice().last().is_some_and(is_last) {
            return;
        }
        match self {
            Self::One(first) => *self = Self::Several(vec![Arc::clone(first), Arc::clone(node)]),
            Self::Several(nodes) => nodes.push(Arc::clone(node)),
        }
    }

    /// Keeps some, and answers whether there are any.
    fn retain(&mut self, is_kept: impl Fn(&Node) -> bool) -> bool {
        match self {
            Self::One(node) => is_kept(node),
            Self::Several(nodes) => {
                nodes.retain(|node| is_kept(node));
                !nodes.is_empty()
            }
        }
    }
}

/// The manifests that a state of `index.json` leads to.
#[derive(Debug, Default)]
pub(crate) struct Reachable {
    digests: HashSet<Digest>,
    /// Whether something is missing that may come without a change of the index.
    pub(crate) is_partial: bool,
}

impl Graph {
    pub(crate) fn node(&self, digest: &Digest) -> Option<Arc<Node>> {
        self.lock().nodes.get(digest).cloned()
    }

    /// Returns those of `manifests` that have not been read.
    pub(crate) fn unknown<'a>(
        &self,
        manifests: impl Iterator<Item = &'a Descriptor>,
    ) -> Vec<Descriptor> {
        let state = self.lock();
        let unknown = manifests.filter(|manifest| !state.nodes.contains_key(manifest.digest()));
        unknown.cloned().collect()
    }

    /// Adds the manifest `node`, which refers to `leaves` and to its children.
    pub(crate) fn insert(&self, node: &Arc<Node>, leaves: &[Digest]) {
        let digest = *node.plain.digest();
        let mut state = self.lock();
        if state.nodes.insert(digest, Arc::clone(node)).is_none() {
            let children = node.children.iter().map(Descriptor::digest);
            for successor in leaves.iter().chain(children) {
                let predecessors = state.predecessors.entry(*successor);
                predecessors
                    .and_modify(|predecessors| predecessors.add(node))
                    .or_insert_with(|| Predecessors::One(Arc::clone(node)));
            }
        }
    }

    /// Forgets a manifest that was deleted.
    pub(crate) fn forget(&self, digest: &Digest) {
        let mut state = self.lock();
        if state.nodes.remove(digest).is_some() {
            let is_kept = |node: &Node| node.plain.digest() != digest;
            state.predecessors.retain(|_, all| all.retain(is_kept));
        }
        state.reachable = None;
    }

    /// The manifests that refer to `digest` and are reachable, in the order of their digests.
    pub(crate) fn predecessors(&self, digest: &Digest, within: &Reachable) -> Vec<Arc<Node>> {
        let state = self.lock();
        let mut found: Vec<_> = state
            .predecessors
            .get(digest)
            .map_or(&[][..], Predecessors::as_slice)
            .iter()
            .map(|predecessor| predecessor.plain.digest())
            .filter(|predecessor| within.digests.contains(predecessor))
            .filter_map(|predecessor| state.nodes.get(predecessor).cloned())
            .collect();
        found.sort_unstable_by_key(|node| *node.plain.digest());
        found
    }

    /// What was found for this very state of the index, if nothing was missing then.
    pub(crate) fn known_reachable(&self, snapshot: &Arc<Snapshot>) -> Option<Arc<Reachable>> {
        let state = self.lock();
        let (known, reachable) = state.reachable.as_ref()?;
        Arc::ptr_eq(known, snapshot).then(|| Arc::clone(reachable))
    }

    pub(crate) fn remember_reachable(&self, snapshot: Arc<Snapshot>, reachable: Arc<Reachable>) {
        if reachable.is_partial {
            return;
        }
        let mut state = self.lock();
        // What other processes deleted is not kept forever.
        if state.nodes.len() > 2 * reachable.digests.len() + 1024 {
            let State {
                nodes,
                predecessors,
                ..
            } = &mut *state;
            nodes.retain(|digest, _| reachable.digests.contains(digest));
            let is_kept = |node: &Node| nodes.contains_key(node.plain.digest());
            predecessors.retain(|_, all| all.retain(is_kept));
        }
        state.reachable = Some((snapshot, reachable));
    }

    /// Starts a walk from everything that `snapshot` lists.
    pub(crate) fn walk(&self, snapshot: &Snapshot) -> Walk<'_> {
        let mut walk = Walk {
            graph: self,
            seen: HashSet::new(),
            reachable: Reachable::default(),
            unknown: Vec::new(),
        };
        walk.visit(snapshot.descriptors().cloned().collect());
        walk
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holders for Graph {
    fn holds(&self, digest: &Digest, is_listed: &dyn Fn(&Digest) -> bool) -> bool {
        let state = self.lock();
        let Some(predecessors) = state.predecessors.get(digest) else {
            return false;
        };
        predecessors.as_slice().iter().any(|predecessor| {
            let mut children = predecessor.children.iter();
            is_listed(predecessor.plain.digest())
                && state.nodes.contains_key(predecessor.plain.digest())
                && children.any(|child| child.digest() == digest)
        })
    }
}

/// Finds what is reachable; whoever walks reads what is not known yet.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    graph: &'a Graph,
    seen: HashSet<Digest>,
    reachable: Reachable,
    unknown: Vec<Descriptor>,
}

impl Walk<'_> {
    /// What must be read before the walk can go on.
    pub(crate) fn take_unknown(&mut self) -> Vec<Descriptor> {
        std::mem::take(&mut self.unknown)
    }

    /// Goes on with a manifest that has been read.
    pub(crate) fn found(&mut self, node: &Node) {
        self.reachable.digests.insert(*node.plain.digest());
        self.visit(node.child_manifests().cloned().collect());
    }

    /// Goes on without a manifest that is not there.
    pub(crate) fn missed(&mut self) {
        self.reachable.is_partial = true;
    }

    pub(crate) fn finish(self) -> Reachable {
        self.reachable
    }

    fn visit(&mut self, mut next: Vec<Descriptor>) {
        let state = self.graph.lock();
        while let Some(manifest) = next.pop() {
            let is_manifest = manifest.media_type().is_manifest();
            if !is_manifest || !self.seen.insert(*manifest.digest()) {
                continue;
            }
            match state.nodes.get(manifest.digest()) {
                Some(node) => {
                    self.reachable.digests.insert(*manifest.digest());
                    next.extend(node.child_manifests().cloned());
                }
                None => self.unknown.push(manifest),
            }
        }
    }
}

/// Decodes a manifest, checked to be what its digest says. Returns `None` for undamaged content that is not a
/// manifest.
///
/// A manifest that refers to another one can give a wrong media type for it, which no check of the content
/// prevents where it arrives later. Then the content itself decides what it is.
///
/// # Errors
/// `Corrupt` if the content does not hash to its digest.
pub(crate) fn decode(
    digest: &Digest,
    media_type: &MediaType,
    content: &[u8],
) -> Result<Option<(Descriptor, ManifestDocument)>, Error> {
    use tranship::ErrorKind;

    if !digest.matches(content) {
        let why = "the manifest does not hash to its digest";
        return Err(Error::new(ErrorKind::Corrupt, why)
            .with_subject(digest)
            .with_hint("delete it, and push it again"));
    }
    let decode_as = |media_type: MediaType| {
        let document = ManifestDocument::decode_plain(&media_type, content);
        let plain = Descriptor::new(media_type, *digest, content.len() as u64);
        document.ok().flatten().map(|document| (plain, document))
    };
    let by_content = || ManifestDocument::sniff(content).and_then(decode_as);
    Ok(decode_as(media_type.clone()).or_else(by_content))
}
