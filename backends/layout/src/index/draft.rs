//! Changes of `index.json`, applied to a draft in memory.
//!
//! The file lists each tag, and each manifest that has no tag and is not a child of something that
//! is listed. So it grows with what a user would call the content, not with every manifest that was
//! ever pushed, and nothing that was pushed becomes unreachable without being deleted. A manifest whose
//! content does not tell its media type always has an entry, which does.

use tranship::{Descriptor, Digest, Error, Result, Tag};

use super::change::{Edit, Holders};
use super::entries::Entry;
use super::names::{CONTAINERD_NAME, REF_NAME, UNTYPED};
use super::snapshot::Snapshot;

/// A state of `index.json` that is being changed.
pub(crate) struct Draft<'a> {
    holders: &'a dyn Holders,
    state: Snapshot,
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
        Self {
            holders,
            state: base.clone(),
            removed: Vec::new(),
            changed: false,
        }
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

    /// Returns the new state, if it is another one, and the blobs to remove with it.
    pub(crate) fn finish(mut self) -> (Option<Snapshot>, Vec<Digest>) {
        let mut removed = std::mem::take(&mut self.removed);
        removed.retain(|digest| !self.is_listed(digest));
        let snapshot = self.changed.then(|| self.state.compacted());
        (snapshot, removed)
    }

    /// Gives all entries of a manifest the media type that it was pushed as last.
    fn retype(&mut self, entry: &Descriptor) {
        let has_other_type = |position: &usize| {
            let old = self.descriptor_at(*position);
            old.is_some_and(|old| old.media_type() != entry.media_type())
        };
        let positions = self.state.digests().positions(entry.digest());
        let positions: Vec<usize> = positions.filter(has_other_type).collect();
        for position in positions {
            if let Some(old) = self.descriptor_at(position).cloned() {
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
        let Some(entry) = self.descriptor_at(position).cloned() else {
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
        let unnamed = self.state.digests().unnamed(entry.digest()).next();
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
        let unnamed: Vec<usize> = self.state.digests().unnamed(digest).collect();
        for position in unnamed {
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
        let exact: Vec<usize> = self.state.tags.exact(tag).collect();
        if !exact.is_empty() {
            return Claims::Exact(exact);
        }
        let suffixes: Vec<usize> = self.state.tags.suffixes(tag).collect();
        let mut digests = suffixes.iter().map(|position| self.digest_at(*position));
        match digests.next() {
            Some(first) if digests.all(|digest| digest == first) => Claims::Suffix(suffixes),
            _ => Claims::None,
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
        self.state.digests().contains(digest)
    }

    fn is_held(&self, digest: &Digest) -> bool {
        self.holders.holds(digest, &|other| self.is_listed(other))
    }

    fn positions(&self, digest: &Digest) -> Vec<usize> {
        self.state.digests().positions(digest).collect()
    }

    fn descriptor_at(&self, position: usize) -> Option<&Descriptor> {
        self.state.entries.get(position)?.descriptor()
    }

    fn digest_at(&self, position: usize) -> Option<Digest> {
        self.descriptor_at(position).map(|entry| *entry.digest())
    }

    fn append(&mut self, entry: Entry) {
        self.changed = true;
        self.state.append(entry);
    }

    fn set(&mut self, position: usize, entry: Option<Entry>) {
        self.changed |= self.state.replace(position, entry);
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
