//! Finds one path from the newest layer down, so that layers below the one that decides are not read.
//!
//! A name in a layer leads through the symbolic links of lower layers: `bin/sh` of a layer is `usr/bin/sh` where `bin`
//! is a link to `usr/bin`. So a layer can only be understood alone where it says itself that the parents of a name are
//! directories, as Docker, BuildKit, buildah and kaniko write layers. Where a layer does not, and it could matter, the
//! search gives up, and all layers are applied to a [`Tree`](super::tree::Tree).

use std::collections::HashSet;

use super::layer::{LayerEntries, LayerEntry, LayerEntryKind};
use super::path::{ancestors, components, is_within, split_last};
use super::tree::Place;

/// The result for a path of the layers that were searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is what this entry describes: not a directory, and not a hard link.
    Found(Place),
    /// A directory above it, or it, is a symbolic link. The path continues with `rest` at `target`, from the directory
    /// that the link is in.
    Link {
        directory: Box<[u8]>,
        target: Box<[u8]>,
        rest: Box<[u8]>,
    },
    /// No layer has an entry for it.
    Absent,
    /// It depends on lower layers, or on all of them.
    Undecided,
}

/// A search for one path.
pub(super) struct Search<'a> {
    path: &'a [u8],
    /// The parts of the path: an entry under another parent matters only if it has such a name.
    names: HashSet<&'a [u8]>,
    /// The parents that a layer above has described as directories.
    replaced: HashSet<&'a [u8]>,
    /// Whether no layer has been looked into.
    is_first: bool,
}

impl<'a> Search<'a> {
    /// Begins to search for `path`, which is normalized and not the root.
    pub(super) fn new(path: &'a [u8]) -> Self {
        Self {
            path,
            names: components(path).collect(),
            replaced: HashSet::new(),
            is_first: true,
        }
    }

    /// Looks into the layer `number`, which is below those that were looked into; `None` if lower layers decide.
    pub(super) fn look(&mut self, number: usize, layer: &LayerEntries) -> Option<Verdict> {
        if self.has_suspects(layer) {
            return Some(Verdict::Undecided);
        }
        for parent in ancestors(self.path) {
            let mut entries = added(layer, parent);
            let Some((place, entry)) = entries.next_back() else {
                continue;
            };
            let is_only = entries.next_back().is_none();
            match &entry.kind {
                LayerEntryKind::Directory if is_only => {}
                LayerEntryKind::Symlink { target }
                    if is_only && !layer.has_below(parent) && layer.has_own_parents(place) =>
                {
                    if self.replaced.contains(parent) {
                        return Some(Verdict::Absent);
                    }
                    return Some(self.link(parent, target));
                }
                _ => return Some(Verdict::Undecided),
            }
        }
        if let Some((place, entry)) = added(layer, self.path).next_back() {
            let is_certain = layer.has_own_parents(place) || self.is_alone(layer);
            if !is_certain || layer.has_below(self.path) {
                return Some(Verdict::Undecided);
            }
            return Some(self.decide(number, place, entry, layer));
        }
        if layer.has_below(self.path) {
            // A directory, or a link to one.
            return Some(Verdict::Undecided);
        }
        if let Some(verdict) = self.hidden_below(layer) {
            return Some(verdict);
        }
        let parents = ancestors(self.path);
        let described = parents.filter(|parent| added(layer, parent).next().is_some());
        self.replaced.extend(described);
        self.is_first = false;
        None
    }

    /// Returns whether a name whose parents the layer does not describe leads to its entry all the same: nothing later,
    /// and nothing else in the layer, can change what its parents are. Programs that add single files make such layers.
    fn is_alone(&self, layer: &LayerEntries) -> bool {
        let Some(first) = ancestors(self.path).next() else {
            return true;
        };
        let mut parents = ancestors(self.path);
        self.is_first
            && parents.all(|parent| layer.at(parent).next().is_none())
            && layer.all.iter().all(|entry| is_within(&entry.path, first))
    }

    fn decide(
        &self,
        number: usize,
        place: usize,
        entry: &LayerEntry,
        layer: &LayerEntries,
    ) -> Verdict {
        match &entry.kind {
            LayerEntryKind::Directory => Verdict::Undecided,
            // Where the parents are not known to be directories, it is not known where `..` leads.
            LayerEntryKind::Symlink { target }
                if !layer.has_own_parents(place)
                    && components(target).any(|part| part == b"..") =>
            {
                Verdict::Undecided
            }
            LayerEntryKind::Symlink { target } => self.link(self.path, target),
            LayerEntryKind::HardLink { target } => {
                // Only the plain case: one file, before the link, in the same layer.
                let mut targets = added(layer, target);
                match (targets.next(), targets.next()) {
                    (Some((at, file)), None)
                        if at < place
                            && matches!(file.kind, LayerEntryKind::File { .. })
                            && layer.has_own_parents(at) =>
                    {
                        Verdict::Found((number, at))
                    }
                    _ => Verdict::Undecided,
                }
            }
            _ => Verdict::Found((number, place)),
        }
    }

    fn link(&self, link: &[u8], target: &[u8]) -> Verdict {
        let rest = self.path.get(link.len()..).unwrap_or_default();
        Verdict::Link {
            directory: split_last(link).0.into(),
            target: target.into(),
            rest: rest.into(),
        }
    }

    /// Returns whether an entry may be about the path, or a parent of it, under another name.
    fn has_suspects(&self, layer: &LayerEntries) -> bool {
        layer.all.iter().enumerate().any(|(place, entry)| {
            self.names.contains(split_last(&entry.path).1)
                && !is_within(self.path, &entry.path)
                && !layer.has_own_parents(place)
        })
    }

    /// Returns whether the layer removes the path, or a parent of it, from lower layers.
    fn hidden_below(&self, layer: &LayerEntries) -> Option<Verdict> {
        let has = |path: &[u8], kind: &LayerEntryKind| {
            layer.at(path).any(|(_, entry)| entry.kind == *kind)
        };
        let root: &[u8] = b"";
        for parent in std::iter::once(root).chain(ancestors(self.path)) {
            if has(parent, &LayerEntryKind::Whiteout) {
                return Some(Verdict::Absent);
            }
            if has(parent, &LayerEntryKind::Opaque) {
                // A symbolic link of a lower layer stays, and its target keeps its content.
                let is_directory = parent.is_empty() || added(layer, parent).next().is_some();
                return Some(if is_directory {
                    Verdict::Absent
                } else {
                    Verdict::Undecided
                });
            }
        }
        has(self.path, &LayerEntryKind::Whiteout).then_some(Verdict::Absent)
    }
}

/// Returns whether a layer may make directories that it does not name, where a name leads through a symbolic link to
/// nothing.
pub(super) fn may_make_directories(layer: &LayerEntries) -> bool {
    let mut places = 0..layer.all.len();
    places.any(|place| !layer.has_own_parents(place))
}

/// Returns the entries of `layer` that add something at `path`.
fn added<'l>(
    layer: &'l LayerEntries,
    path: &'l [u8],
) -> impl DoubleEndedIterator<Item = (usize, &'l LayerEntry)> {
    layer.at(path).filter(|(_, entry)| !entry.kind.is_removal())
}

/// Returns the path of `target` from `directory`, with `rest` after it; `None` if that depends on the files, since
/// `..` follows a name.
pub(super) fn link_path(directory: &[u8], target: &[u8], rest: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<&[u8]> = if target.starts_with(b"/") {
        Vec::new()
    } else {
        components(directory).collect()
    };
    let mut has_names = false;
    for part in components(target).chain(components(rest)) {
        if part != b".." {
            has_names = true;
            parts.push(part);
        } else if has_names {
            return None;
        } else {
            parts.pop();
        }
    }
    Some(parts.join(&b'/'))
}

#[cfg(test)]
mod tests;
