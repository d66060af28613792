//! Changes of `index.json`, applied to a draft in memory.
//!
//! The file lists each tag, and each manifest that has no tag and is not a child of something that
//! is listed. So it grows with what a user would call the content, not with every manifest that was
//! ever pushed, and nothing that was pushed becomes unreachable without being deleted. A manifest whose
//! content does not tell its media type always has an entry, which does.

use std::collections::HashMap;

use tranship::{Descriptor, Digest, Error, Index, Result, Tag};

use super::change::{Edit, Holders};
use super::names::{CONTAINERD_NAME, Name, REF_NAME, UNTYPED};
use super::snapshot::{Entry, Snapshot};

/// A state of `index.json` that is being changed.
pub(crate) struct Draft<'a> {
    holders: &'a dyn Holders,
    head: Index,
    // Positions stay; what is removed leaves a gap.
    entries: Vec<Option<Entry>>,
    // How many entries a digest has, and those of them without a name.
    digests: HashMap<Digest, usize>,
    unnamed: HashMap<Digest, Vec<usize>>,
    tags: HashMap<Tag, Vec<usize>>,
    suffixes: HashMap<Tag, Vec<usize>>,
    removed: Vec<Digest>,
    changed: bool,
}

/// A name of an entry, as it is written.
struct Label {
    ref_name: String,
    containerd: Option<String>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(base: &Snapshot, holders: &'a dyn Holders) -> Self {
        let mut draft = Self {
            holders,
            head: base.head.clone(),
            entries: Vec::with_capacity(base.entries.len() + 1),
            digests: HashMap::with_capacity(base.entries.len()),
            unnamed: HashMap::new(),
            tags: HashMap::with_capacity(base.entries.len()),
            suffixes: HashMap::new(),
            removed: Vec::new(),
            changed: false,
        };
        for entry in &base.entries {
            draft.append(entry.clone());
        }
        draft.changed = false;
        draft
    }

    /// Makes one change, or none if it fails.
    ///
    /// # Errors
    /// `NotFound` if there is no such tag.
    pub(crate) fn apply(&mut self, edit: &Edit) -> Result<()> {
        match edit {
            Edit::List {
                entry,
                tags,
                children,
            } => {
                self.retype(entry);
                for tag in tags {
                    self.point(tag, entry);
                }
                if !self.is_listed(entry.digest())
                    && (is_untyped(entry) || !self.is_held(entry.digest()))
                {
                    self.append(Entry::new(entry.clone()));
                }
                for child in children.iter() {
                    self.drop_unnamed(child.digest());
                }
                Ok(())
            }
            Edit::Untag(tag) => self.untag(tag),
            Edit::Delete { target, children } => {
                for position in self.positions(target) {
                    self.set(position, None);
                }
                for child in children {
                    if !self.is_listed(child.digest())
                        && (is_untyped(child) || !self.is_held(child.digest()))
                    {
                        self.append(Entry::new(child.clone()));
                    }
                }
                self.removed.push(*target);
                Ok(())
            }
        }
    }

    /// The new state, if it is another one, and the blobs to remove with it.
    pub(crate) fn finish(mut self) -> (Option<Snapshot>, Vec<Digest>) {
        let mut removed = std::mem::take(&mut self.removed);
        removed.retain(|digest| !self.is_listed(digest));
        // The new state has tables of its own, and both at a time are much of a large index.
        drop((self.digests, self.unnamed, self.tags, self.suffixes));
        let snapshot = self.changed.then(|| {
            let entries = self.entries.into_iter().flatten().collect();
            Snapshot::new(self.head, entries)
        });
        (snapshot, removed)
    }

    /// Gives all entries of a manifest the media type that it was pushed as last.
    fn retype(&mut self, entry: &Descriptor) {
        for position in self.positions(entry.digest()) {
            let old = self.descriptor_at(position);
            let old = old.filter(|old| old.media_type() != entry.media_type());
            if let Some(old) = old.cloned() {
                let mut new = old.with_media_type(entry.media_type().clone());
                if is_untyped(entry) {
                    new = new.with_annotation(UNTYPED, "true");
                }
                self.set(position, Some(Entry::new(new)));
            }
        }
    }

    fn point(&mut self, tag: &Tag, entry: &Descriptor) {
        let (positions, labels) = match self.claims(tag) {
            Claims::Exact(positions) => {
                let winner = positions.iter().copied().max();
                let labels = winner.and_then(|winner| self.label_at(winner));
                if let Some(winner) = winner
                    && self.digest_at(winner) == Some(*entry.digest())
                {
                    for other in positions {
                        if other != winner {
                            self.release(other);
                        }
                    }
                    return;
                }
                (positions, Vec::from_iter(labels))
            }
            Claims::Suffix(positions) => {
                let first = positions.first().copied();
                if first.and_then(|first| self.digest_at(first)) == Some(*entry.digest()) {
                    return;
                }
                // Each of the longer names moves, so that the tag goes on to mean one manifest.
                let labels = positions.iter().filter_map(|at| self.label_at(*at));
                (positions.clone(), labels.collect())
            }
            Claims::None => {
                let ref_name = tag.to_string();
                let containerd = None;
                (
                    Vec::new(),
                    vec![Label {
                        ref_name,
                        containerd,
                    }],
                )
            }
        };
        for position in positions {
            self.release(position);
        }
        for label in labels {
            self.place(entry, label);
        }
    }

    fn untag(&mut self, tag: &Tag) -> Result<()> {
        let mut is_found = false;
        // Without the entries of the tag itself it would mean the manifest whose longer name ends in it.
        while let Claims::Exact(positions) | Claims::Suffix(positions) = self.claims(tag) {
            is_found = true;
            for position in positions {
                self.release(position);
            }
        }
        if is_found {
            Ok(())
        } else {
            Err(Error::not_found(tag))
        }
    }

    /// Takes the name off an entry, and drops the entry if the manifest can be reached otherwise.
    fn release(&mut self, position: usize) {
        let Some(Entry::Manifest(entry, _)) = self.entries[position].clone() else {
            return;
        };
        self.set(position, None);
        if self.is_listed(entry.digest()) || (!is_untyped(&entry) && self.is_held(entry.digest())) {
            return;
        }
        let mut annotations = entry.annotations().clone();
        annotations.remove(REF_NAME);
        annotations.remove(CONTAINERD_NAME);
        let unnamed = entry.with_annotations(annotations);
        self.set(position, Some(Entry::new(unnamed)));
    }

    /// Gives the manifest of `entry` a name: on its entry without one, or on a new one.
    fn place(&mut self, entry: &Descriptor, label: Label) {
        let unnamed = self.unnamed.get(entry.digest());
        let unnamed = unnamed.and_then(|positions| positions.first().copied());
        let base = unnamed
            .and_then(|position| self.descriptor_at(position))
            .unwrap_or(entry);
        let mut named = base.clone().with_annotation(REF_NAME, label.ref_name);
        if let Some(name) = label.containerd {
            named = named.with_annotation(CONTAINERD_NAME, name);
        }
        match unnamed {
            Some(position) => self.set(position, Some(Entry::new(named))),
            None => self.append(Entry::new(named)),
        }
    }

    /// Drops the entries of a manifest that say nothing but that it is there.
    fn drop_unnamed(&mut self, digest: &Digest) {
        for position in self.unnamed.get(digest).cloned().unwrap_or_default() {
            let says_nothing = self.descriptor_at(position).is_some_and(|entry| {
                let mut bare = entry
                    .plain()
                    .with_artifact_type(entry.artifact_type().cloned());
                if let Some(platform) = entry.platform() {
                    bare = bare.with_platform(platform.clone());
                }
                bare == *entry
            });
            if says_nothing {
                self.set(position, None);
            }
        }
    }

    fn claims(&self, tag: &Tag) -> Claims {
        if let Some(positions) = self.tags.get(tag).filter(|exact| !exact.is_empty()) {
            return Claims::Exact(positions.clone());
        }
        let Some(positions) = self.suffixes.get(tag).filter(|all| !all.is_empty()) else {
            return Claims::None;
        };
        let first = self.digest_at(positions[0]);
        if positions
            .iter()
            .all(|position| self.digest_at(*position) == first)
        {
            Claims::Suffix(positions.clone())
        } else {
            Claims::None
        }
    }

    fn label_at(&self, position: usize) -> Option<Label> {
        let entry = self.descriptor_at(position)?;
        Some(Label {
            ref_name: entry.annotation(REF_NAME)?.to_owned(),
            containerd: entry.annotation(CONTAINERD_NAME).map(ToOwned::to_owned),
        })
    }

    fn is_listed(&self, digest: &Digest) -> bool {
        self.digests.get(digest).is_some_and(|count| *count > 0)
    }

    fn is_held(&self, digest: &Digest) -> bool {
        self.holders.holds(digest, &|other| self.is_listed(other))
    }

    fn positions(&self, digest: &Digest) -> Vec<usize> {
        if !self.is_listed(digest) {
            return Vec::new();
        }
        let all = 0..self.entries.len();
        all.filter(|position| self.digest_at(*position).as_ref() == Some(digest))
            .collect()
    }

    fn descriptor_at(&self, position: usize) -> Option<&Descriptor> {
        self.entries.get(position)?.as_ref()?.descriptor()
    }

    fn digest_at(&self, position: usize) -> Option<Digest> {
        self.descriptor_at(position).map(|entry| *entry.digest())
    }

    fn append(&mut self, entry: Entry) {
        self.entries.push(None);
        self.set(self.entries.len() - 1, Some(entry));
    }

    fn set(&mut self, position: usize, entry: Option<Entry>) {
        let old = std::mem::replace(&mut self.entries[position], entry);
        if old == self.entries[position] {
            return;
        }
        self.changed = true;
        if let Some(Entry::Manifest(old, name)) = old {
            let forget = |positions: &mut Vec<usize>| positions.retain(|other| *other != position);
            let digest = *old.digest();
            self.digests.entry(digest).and_modify(|count| *count -= 1);
            match name {
                Name::Tag(tag) => {
                    self.tags.entry(tag).and_modify(forget);
                }
                Name::Suffix(tag) => {
                    self.suffixes.entry(tag).and_modify(forget);
                }
                Name::Foreign => {}
                Name::None => {
                    self.unnamed.entry(digest).and_modify(forget);
                }
            }
        }
        if let Some(Entry::Manifest(new, name)) = &self.entries[position] {
            let digest = *new.digest();
            *self.digests.entry(digest).or_default() += 1;
            let positions = match name {
                Name::Tag(tag) => self.tags.entry(tag.clone()).or_default(),
                Name::Suffix(tag) => self.suffixes.entry(tag.clone()).or_default(),
                Name::Foreign => return,
                Name::None => self.unnamed.entry(digest).or_default(),
            };
            positions.push(position);
        }
    }
}

fn is_untyped(entry: &Descriptor) -> bool {
    entry.annotation(UNTYPED).is_some()
}

/// The entries that a tag means.
enum Claims {
    /// Those that have the tag itself.
    Exact(Vec<usize>),
    /// Those of one manifest whose longer names end in the tag.
    Suffix(Vec<usize>),
    None,
}

#[cfg(test)]
mod tests;
