//! Changes of `index.json`, applied to a draft in memory.
//!
//! The file lists each tag, and each manifest that has no tag and is not a child of something that
//! is listed. So it grows with what a user would call the content, not with every manifest that was
//! ever pushed, and nothing that was pushed becomes unreachable without being deleted.

use std::collections::HashMap;

use tranship::{Descriptor, Digest, Error, Index, Result, Tag};

use super::names::{CONTAINERD_NAME, Name, REF_NAME};
use super::{Entry, Snapshot};

/// One change.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    /// Lists a manifest and points tags at it.
    List {
        /// The entry, without a name.
        entry: Descriptor,
        tags: Vec<Tag>,
        /// The manifest's children, which need no entries of their own.
        children: Vec<Digest>,
    },
    /// Removes a tag. What it pointed at stays listed, unless it can be reached otherwise.
    Untag(Tag),
    /// Removes a manifest, its entries and its blob.
    Delete {
        target: Digest,
        /// The manifest's children, which stay.
        children: Vec<Descriptor>,
    },
}

/// Tells whether a manifest is a child of an index for which the function says that it is listed.
///
/// Grandchildren do not count: what is between may have been deleted by another process, which
/// listed them then. And not all indexes need be known. Either way a manifest is listed that would
/// not have to be, never the other way round.
pub(crate) trait Holders: Send + Sync {
    fn holds(&self, digest: &Digest, is_listed: &dyn Fn(&Digest) -> bool) -> bool;
}

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
                for tag in tags {
                    self.point(tag, entry);
                }
                if !self.is_listed(entry.digest()) && !self.is_held(entry.digest()) {
                    self.append(Entry::new(entry.clone()));
                }
                for child in children {
                    self.drop_unnamed(child);
                }
                Ok(())
            }
            Edit::Untag(tag) => self.untag(tag),
            Edit::Delete { target, children } => {
                for position in self.positions(target) {
                    self.set(position, None);
                }
                for child in children {
                    if !self.is_listed(child.digest()) && !self.is_held(child.digest()) {
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
        let snapshot = self.changed.then(|| {
            let entries = self.entries.into_iter().flatten().collect();
            Snapshot::new(self.head, entries)
        });
        (snapshot, removed)
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
        let positions = match self.claims(tag) {
            Claims::Exact(positions) | Claims::Suffix(positions) => positions,
            Claims::None => return Err(Error::not_found(tag)),
        };
        for position in positions {
            self.release(position);
        }
        Ok(())
    }

    /// Takes the name off an entry, and drops the entry if the manifest can be reached otherwise.
    fn release(&mut self, position: usize) {
        let Some(Entry::Manifest(entry, _)) = self.entries[position].clone() else {
            return;
        };
        self.set(position, None);
        if self.is_listed(entry.digest()) || self.is_held(entry.digest()) {
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

/// The entries that a tag means.
enum Claims {
    /// Those that have the tag itself.
    Exact(Vec<usize>),
    /// Those of one manifest whose longer names end in the tag.
    Suffix(Vec<usize>),
    None,
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet, HashSet};

    use super::*;
    use tranship::MediaType;

    /// Which indexes hold which manifests, for ever.
    struct Held(HashMap<Digest, HashSet<Digest>>);

    impl Holders for Held {
        fn holds(&self, digest: &Digest, is_listed: &dyn Fn(&Digest) -> bool) -> bool {
            let parents = self.0.get(digest);
            parents.is_some_and(|parents| parents.iter().any(is_listed))
        }
    }

    /// A generator of numbers that look random.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 % sides as u64).expect("small")
        }
    }

    /// What a layout must still know, whatever the entries look like.
    #[derive(Default)]
    struct Model {
        present: BTreeSet<Digest>,
        tags: BTreeMap<Tag, Digest>,
    }

    const MANIFESTS: usize = 12;

    /// The manifests of which the last few are indexes of some of those before them.
    fn family(dice: &mut Dice) -> (Vec<(Descriptor, Vec<usize>)>, Held) {
        let mut family: Vec<(Descriptor, Vec<usize>)> = Vec::new();
        let mut held: HashMap<Digest, HashSet<Digest>> = HashMap::new();
        for number in 0..MANIFESTS {
            let is_index = number >= MANIFESTS / 2;
            let kind = if is_index {
                MediaType::IMAGE_INDEX
            } else {
                MediaType::IMAGE_MANIFEST
            };
            let target = Descriptor::of(kind, &[u8::try_from(number).expect("small")]);
            let mut children = Vec::new();
            if is_index {
                children.extend((0..number).filter(|_| dice.roll(3) == 0));
            }
            for child in &children {
                let parents = held.entry(*family[*child].0.digest()).or_default();
                parents.insert(*target.digest());
            }
            family.push((target, children));
        }
        (family, Held(held))
    }

    fn is_reachable(snapshot: &Snapshot, model: &Model, held: &Held, digest: &Digest) -> bool {
        snapshot.listed(digest).is_some()
            || held.holds(digest, &|parent| {
                model.present.contains(parent) && is_reachable(snapshot, model, held, parent)
            })
    }

    fn check(snapshot: &Snapshot, model: &Model, held: &Held) {
        let decoded = Snapshot::decode(&snapshot.encode().expect("json")).expect("an index");
        assert!(decoded.descriptors().eq(snapshot.descriptors()));
        for digest in &model.present {
            assert!(
                is_reachable(snapshot, model, held, digest),
                "{digest} is lost"
            );
        }
        let tags: Vec<_> = snapshot.tags(None).cloned().collect();
        assert!(tags.iter().eq(model.tags.keys()));
        for (tag, digest) in &model.tags {
            let target = snapshot.tagged(tag).expect("tagged");
            assert_eq!(target.digest(), digest);
        }
        let mut seen = HashSet::new();
        for entry in snapshot.descriptors() {
            let name = entry.annotation(REF_NAME).map(ToOwned::to_owned);
            let unnamed_too = name.is_none()
                && snapshot
                    .descriptors()
                    .any(|other| other.digest() == entry.digest() && other != entry);
            assert!(!unnamed_too, "an entry without a name beside another");
            assert!(seen.insert((*entry.digest(), name)), "an entry twice");
        }
    }

    #[test]
    fn no_sequence_of_changes_loses_a_manifest_or_a_tag() {
        for seed in 1..200 {
            let mut dice = Dice(seed * 0x9e37_79b9);
            let (family, held) = family(&mut dice);
            let names: Vec<Tag> = ["a", "b", "c", "d"]
                .map(|t| t.parse().expect("a tag"))
                .into();
            let (mut snapshot, mut model) = (Snapshot::empty(), Model::default());
            for _ in 0..60 {
                let (target, children) = &family[dice.roll(MANIFESTS)];
                let digest = *target.digest();
                let edit = match dice.roll(8) {
                    0 => Edit::Untag(names[dice.roll(4)].clone()),
                    1 => Edit::Delete {
                        target: digest,
                        children: children
                            .iter()
                            .map(|child| family[*child].0.clone())
                            .filter(|child| model.present.contains(child.digest()))
                            .collect(),
                    },
                    _ => Edit::List {
                        entry: target.clone(),
                        tags: names
                            .iter()
                            .filter(|_| dice.roll(4) == 0)
                            .cloned()
                            .collect(),
                        children: children
                            .iter()
                            .map(|child| *family[*child].0.digest())
                            .collect(),
                    },
                };
                let was_idle = snapshot.is_idle(&edit, &held);
                let mut draft = Draft::new(&snapshot, &held);
                let outcome = draft.apply(&edit);
                match &edit {
                    Edit::Untag(tag) => {
                        let removed = model.tags.remove(tag).is_some();
                        assert_eq!(outcome.is_ok(), removed);
                    }
                    Edit::Delete { target, .. } => {
                        model.present.remove(target);
                        model.tags.retain(|_, digest| digest != target);
                    }
                    Edit::List { tags, .. } => {
                        model.present.insert(digest);
                        model
                            .tags
                            .extend(tags.iter().map(|tag| (tag.clone(), digest)));
                    }
                }
                let (changed, removed) = draft.finish();
                assert!(!was_idle || (changed.is_none() && removed.is_empty()));
                if let Some(changed) = changed {
                    snapshot = changed;
                }
                check(&snapshot, &model, &held);
            }
        }
    }

    #[test]
    fn a_manifest_that_is_listed_again_in_the_same_batch_is_not_removed() {
        let held = Held(HashMap::new());
        let entry = Descriptor::of(MediaType::IMAGE_MANIFEST, b"a");
        let delete = Edit::Delete {
            target: *entry.digest(),
            children: Vec::new(),
        };
        let list = Edit::List {
            entry: entry.clone(),
            tags: Vec::new(),
            children: Vec::new(),
        };
        let mut draft = Draft::new(&Snapshot::empty(), &held);
        for edit in [&list, &delete, &list] {
            draft.apply(edit).expect("applied");
        }
        let (snapshot, removed) = draft.finish();
        assert!(snapshot.is_some_and(|snapshot| snapshot.listed(entry.digest()).is_some()));
        assert!(removed.is_empty());
    }
}
