//! The files of an image: its layers, applied from the lowest to the highest (image-spec, "Image Layer Filesystem
//! Changeset").
//!
//! A file is a node, and its names are entries of directories, so that hard links share a node across layers. No entry
//! is copied: a node names the layer and the place of the entry that describes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tranship::{Error, ErrorKind, Result};

use super::layer::{LayerEntries, LayerEntry, LayerEntryKind, is_of_aufs};
use super::path::{components, shown, split_last};

/// How many symbolic links are followed to resolve one path, as on Linux.
pub(super) const MAX_LINKS: usize = 40;

pub(super) type NodeId = usize;

/// The root directory.
const ROOT: NodeId = 0;

/// Where an entry is: the number of its layer, from the lowest on, and its place in it.
pub(super) type Place = (usize, usize);

#[derive(Debug)]
pub(super) struct Node {
    /// The entry that describes it; `None` for a directory that no layer describes.
    pub(super) place: Option<Place>,
    /// The names in a directory; `None` for anything else.
    pub(super) children: Option<BTreeMap<Box<[u8]>, NodeId>>,
}

impl Node {
    fn directory(place: Option<Place>) -> Self {
        Self {
            place,
            children: Some(BTreeMap::new()),
        }
    }
}

/// The files of an image.
#[derive(Debug)]
pub(super) struct Tree {
    layers: Vec<Arc<LayerEntries>>,
    nodes: Vec<Node>,
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) node: NodeId,
    /// The path without symbolic links.
    pub(super) path: Vec<u8>,
}

impl Tree {
    /// Applies `layers`, the lowest first.
    ///
    /// # Errors
    /// `Corrupt` if a hard link does not lead to a file, or symbolic links lead in a circle.
    pub(super) fn of(layers: Vec<Arc<LayerEntries>>) -> Result<Self> {
        let mut tree = Self {
            layers: Vec::new(),
            nodes: vec![Node::directory(None)],
        };
        for layer in layers {
            tree.apply(layer)?;
        }
        Ok(tree)
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    pub(super) fn root(&self) -> NodeId {
        ROOT
    }

    /// Returns the entry that describes a node.
    pub(super) fn entry(&self, id: NodeId) -> Option<&LayerEntry> {
        let (layer, place) = self.nodes[id].place?;
        self.layers.get(layer)?.all.get(place)
    }

    /// Returns the number of layers.
    pub(super) fn layers(&self) -> usize {
        self.layers.len()
    }

    fn apply(&mut self, layer: Arc<LayerEntries>) -> Result<()> {
        let number = self.layers.len();
        // Whiteouts are about lower layers only, wherever they are in this one.
        for entry in &layer.all {
            match entry.kind {
                LayerEntryKind::Opaque => self.clear(&entry.path)?,
                LayerEntryKind::Whiteout => self.remove(&entry.path)?,
                _ => {}
            }
        }
        self.layers.push(Arc::clone(&layer));
        for (place, entry) in layer.all.iter().enumerate() {
            self.add(entry, (number, place))
                .map_err(|error| error.with_subject(shown(&entry.path)))?;
        }
        if let Some(children) = &mut self.nodes[ROOT].children {
            children.retain(|name, _| !is_of_aufs(name));
        }
        Ok(())
    }

    fn add(&mut self, entry: &LayerEntry, place: Place) -> Result<()> {
        if entry.kind.is_removal() {
            return Ok(());
        }
        if entry.path.is_empty() {
            self.nodes[ROOT].place = Some(place);
            return Ok(());
        }
        let (directory, name) = split_last(&entry.path);
        let Some(parent) = self.directory(directory, true)? else {
            return Ok(());
        };
        let new = match &entry.kind {
            LayerEntryKind::Directory => match self.child(parent, name) {
                Some(old) if self.nodes[old].children.is_some() => {
                    self.nodes[old].place = Some(place);
                    return Ok(());
                }
                _ => self.push(Node::directory(Some(place))),
            },
            LayerEntryKind::HardLink { target } => self.link_target(target)?,
            _ => self.push(Node {
                place: Some(place),
                children: None,
            }),
        };
        self.insert(parent, name, new);
        Ok(())
    }

    /// Finds the file that a hard link is another name of.
    fn link_target(&mut self, target: &[u8]) -> Result<NodeId> {
        let (directory, name) = split_last(target);
        let parent = self.directory(directory, false)?;
        match parent.and_then(|parent| self.child(parent, name)) {
            Some(node) if self.nodes[node].children.is_none() => Ok(node),
            found => {
                let what = match found {
                    Some(_) => "a directory",
                    None => "a file that does not exist",
                };
                Err(Error::new(
                    ErrorKind::Corrupt,
                    format!("the layer has a hard link to {}, {what}", shown(target)),
                ))
            }
        }
    }

    /// Removes the content of the directory `path`, if it is a directory. A symbolic link there is not followed.
    fn clear(&mut self, path: &[u8]) -> Result<()> {
        let node = if path.is_empty() {
            Some(ROOT)
        } else {
            let (directory, name) = split_last(path);
            let parent = self.directory(directory, false)?;
            parent.and_then(|parent| self.child(parent, name))
        };
        if let Some(node) = node
            && let Some(children) = &mut self.nodes[node].children
        {
            children.clear();
        }
        Ok(())
    }

    fn remove(&mut self, path: &[u8]) -> Result<()> {
        let (directory, name) = split_last(path);
        if let Some(parent) = self.directory(directory, false)?
            && let Some(children) = &mut self.nodes[parent].children
        {
            children.remove(name);
        }
        Ok(())
    }

    fn push(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn child(&self, parent: NodeId, name: &[u8]) -> Option<NodeId> {
        self.nodes[parent].children.as_ref()?.get(name).copied()
    }

    fn insert(&mut self, parent: NodeId, name: &[u8], node: NodeId) {
        if let Some(children) = &mut self.nodes[parent].children {
            children.insert(name.into(), node);
        }
    }

    fn symlink(&self, node: NodeId) -> Option<Box<[u8]>> {
        match &self.entry(node)?.kind {
            LayerEntryKind::Symlink { target } => Some(target.clone()),
            _ => None,
        }
    }

    /// Returns the directory `path`, in which an entry is. Symbolic links on the way are followed inside the image.
    ///
    /// If it does not exist it is made if `create` is set, also in place of a file; otherwise this returns `None`. A file that
    /// a link leads through is an error.
    fn directory(&mut self, path: &[u8], create: bool) -> Result<Option<NodeId>> {
        let mut way = Way::new(path);
        while let Some(name) = way.next() {
            let parent = way.directory();
            let child = self.child(parent, &name);
            if let Some(target) = child.and_then(|child| self.symlink(child)) {
                way.follow(&target)?;
                continue;
            }
            let node = match child {
                Some(child) if self.nodes[child].children.is_some() => child,
                // Only below the name itself, as other programs do.
                Some(_) if create && way.is_in_link => {
                    return Err(Error::new(
                        ErrorKind::Corrupt,
                        "the layer has a name that leads through a symbolic link to a file",
                    ));
                }
                _ if create => {
                    let node = self.push(Node::directory(None));
                    self.insert(parent, &name, node);
                    node
                }
                _ => return Ok(None),
            };
            way.enter(name, node);
        }
        Ok(Some(way.directory()))
    }

    /// Finds what `path` leads to; `None` if there is nothing. Symbolic links are followed inside the image, the last
    /// one only with `follow`.
    ///
    /// # Errors
    /// `Corrupt` if more than 40 symbolic links have to be followed.
    pub(super) fn resolve(&self, path: &[u8], follow: bool) -> Result<Option<Resolved>> {
        let mut way = Way::new(path);
        while let Some(name) = way.next() {
            let Some(child) = self.child(way.directory(), &name) else {
                return Ok(None);
            };
            if let Some(target) = self.symlink(child)
                && (follow || !way.is_at_end())
            {
                way.follow(&target)?;
                continue;
            }
            way.enter(name, child);
        }
        Ok(Some(way.resolved()))
    }
}

/// A path that is being resolved.
struct Way {
    /// The parts that are left, the next one last, and whether each is from the target of a link.
    left: Vec<(Box<[u8]>, bool)>,
    /// Whether the part that was returned last is from the target of a link.
    is_in_link: bool,
    /// The parts that were resolved.
    done: Vec<(Box<[u8]>, NodeId)>,
    links: usize,
}

impl Way {
    fn new(path: &[u8]) -> Self {
        Self {
            left: components(path)
                .rev()
                .map(|part| (part.into(), false))
                .collect(),
            is_in_link: false,
            done: Vec::new(),
            links: 0,
        }
    }

    /// Returns the next name to look up. `..` leads to the parent, and from the root to the root.
    fn next(&mut self) -> Option<Box<[u8]>> {
        loop {
            let (name, is_in_link) = self.left.pop()?;
            self.is_in_link = is_in_link;
            if &*name != b".." {
                return Some(name);
            }
            self.done.pop();
        }
    }

    fn is_at_end(&self) -> bool {
        self.left.is_empty()
    }

    fn directory(&self) -> NodeId {
        self.done.last().map_or(ROOT, |(_, node)| *node)
    }

    fn enter(&mut self, name: Box<[u8]>, node: NodeId) {
        self.done.push((name, node));
    }

    /// Puts the target of a symbolic link before the parts that are left.
    fn follow(&mut self, target: &[u8]) -> Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(too_many_links());
        }
        if target.starts_with(b"/") {
            self.done.clear();
        }
        let parts = components(target).rev();
        self.left.extend(parts.map(|part| (part.into(), true)));
        Ok(())
    }

    fn resolved(self) -> Resolved {
        let node = self.directory();
        let names: Vec<&[u8]> = self.done.iter().map(|(name, _)| &**name).collect();
        Resolved {
            node,
            path: names.join(&b'/'),
        }
    }
}

pub(super) fn too_many_links() -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("more than {MAX_LINKS} symbolic links have to be followed"),
    )
}
