//! One state of `index.json`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::OnceLock;

use bytes::Bytes;
use tranship::{Descriptor, Digest, Error, Index, Result, Tag, encode_json};

use super::change::{Edit, Holders};
use super::names::{self, CONTAINERD_NAME, Claim, Name, REF_NAME, UNTYPED, name_of};

/// The index of a layout that holds nothing.
pub(crate) const EMPTY_INDEX: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

/// How large the file may be, in bytes, if it lists nothing. A larger one need not be read to know.
pub(crate) const MAX_EMPTY_INDEX: u64 = 4096;

/// Whether the file with this content lists nothing. One that cannot be read may list something.
pub(crate) fn lists_nothing(content: &[u8]) -> bool {
    Snapshot::decode(content).is_ok_and(|snapshot| snapshot.entries().is_empty())
}

/// One state of `index.json`. It never changes.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    // All but the manifests.
    pub(super) head: Index,
    pub(super) entries: Vec<Entry>,
    pub(super) tags: HashMap<Tag, Claim>,
    // In their order, after the first call that needs it.
    pub(super) sorted: OnceLock<Vec<Tag>>,
    // Their positions, after the first call that needs them. A look at a tag does not.
    pub(super) digests: OnceLock<HashMap<Digest, Vec<usize>>>,
    pub(super) is_unambiguous: bool,
}

/// One of the manifests that `index.json` lists.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry {
    Manifest(Descriptor, Name),
    /// Named by a digest that we cannot compute: kept unchanged.
    Foreign(serde_json::Value),
}

/// A manifest that `index.json` lists.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// The entry as the file has it, with its annotations.
    pub descriptor: Descriptor,
    /// The tag that names the entry. It may be the end of a longer name, such as `docker.io/library/alpine:3`, and other
    /// entries may have it too: [`is_current`](Self::is_current) says which of them the tag means.
    pub tag: Option<Tag>,
    /// Whether [`tag`](Self::tag) resolves to this manifest.
    pub is_current: bool,
}

impl IndexEntry {
    /// The name as the file has it: a tag, a longer name, or something that is neither.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let names = [REF_NAME, CONTAINERD_NAME];
        names.iter().find_map(|key| self.descriptor.annotation(key))
    }
}

impl Entry {
    pub(super) fn new(descriptor: Descriptor) -> Self {
        let name = name_of(&descriptor);
        Self::Manifest(descriptor, name)
    }

    pub(super) fn descriptor(&self) -> Option<&Descriptor> {
        match self {
            Self::Manifest(descriptor, _) => Some(descriptor),
            Self::Foreign(_) => None,
        }
    }
}

impl Snapshot {
    /// The index of a layout that is not there yet.
    pub(crate) fn empty() -> Self {
        Self::new(Index::new(Vec::new()), Vec::new())
    }

    pub(super) fn new(head: Index, entries: Vec<Entry>) -> Self {
        Self {
            tags: names::claims(named(&entries)),
            sorted: OnceLock::new(),
            head,
            entries,
            digests: OnceLock::new(),
            is_unambiguous: true,
        }
    }

    pub(super) fn digests(&self) -> &HashMap<Digest, Vec<usize>> {
        self.digests.get_or_init(|| {
            let mut digests: HashMap<Digest, Vec<usize>> =
                HashMap::with_capacity(self.entries.len());
            for (position, digest, _) in named(&self.entries) {
                digests.entry(*digest).or_default().push(position);
            }
            digests
        })
    }

    /// The entries that can be read, in their order.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = &Descriptor> {
        self.entries.iter().filter_map(Entry::descriptor)
    }

    /// The entries that can be read, in their order, with their tags.
    pub(crate) fn listed_entries(&self) -> impl Iterator<Item = IndexEntry> {
        self.entries.iter().filter_map(|entry| {
            let Entry::Manifest(descriptor, name) = entry else {
                return None;
            };
            let tag = match name {
                Name::Tag(tag) | Name::Suffix(tag) => Some(tag.clone()),
                Name::Foreign | Name::None => None,
            };
            let current = tag.as_ref().and_then(|tag| self.tagged(tag));
            Some(IndexEntry {
                is_current: current.is_some_and(|current| current.digest() == descriptor.digest()),
                descriptor: descriptor.clone(),
                tag,
            })
        })
    }

    /// All entries, in their order.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The same without the entries of some manifests that have no name.
    pub(crate) fn without_unnamed(&self, dropped: &HashSet<Digest>) -> Self {
        let is_dropped = |entry: &&Entry| match entry {
            Entry::Manifest(descriptor, Name::None) => dropped.contains(descriptor.digest()),
            Entry::Manifest(..) | Entry::Foreign(_) => false,
        };
        let kept = self.entries.iter().filter(|entry| !is_dropped(entry));
        Self::new(self.head.clone(), kept.cloned().collect())
    }

    /// What `tag` points at.
    pub(crate) fn tagged(&self, tag: &Tag) -> Option<&Descriptor> {
        self.entries[self.tags.get(tag)?.winner()?].descriptor()
    }

    /// Returns the error for a tag that points at nothing.
    pub(crate) fn no_such(&self, tag: &Tag) -> Error {
        let error = Error::not_found(tag);
        if let Some(Claim::Ambiguous) = self.tags.get(tag) {
            return error.with_hint(
                "several manifests have names that end in this tag; use a digest instead",
            );
        }
        error
    }

    /// Whether the file says nothing twice, so that it can be written again without losing anything. Only
    /// [`decode_for_change`](Self::decode_for_change) looks.
    pub(crate) fn is_unambiguous(&self) -> bool {
        self.is_unambiguous
    }

    /// The first entry of `digest`.
    pub(crate) fn listed(&self, digest: &Digest) -> Option<&Descriptor> {
        let position = *self.digests().get(digest)?.first()?;
        self.entries[position].descriptor()
    }

    /// Whether `edit` would change nothing. `true` is certain, `false` is not.
    pub(crate) fn is_idle(&self, edit: &Edit, holders: &dyn Holders) -> bool {
        let Edit::List {
            entry,
            tags,
            children,
        } = edit
        else {
            return false;
        };
        let digest = entry.digest();
        let points_there = |tag| match self.tags.get(tag) {
            Some(Claim::Exact(position) | Claim::Suffix(position)) => {
                let target = self.entries[*position].descriptor();
                target.is_some_and(|target| {
                    target.digest() == digest && target.media_type() == entry.media_type()
                })
            }
            Some(Claim::Last(_) | Claim::Ambiguous) | None => false,
        };
        let is_unnamed =
            |position: &usize| matches!(self.entries[*position], Entry::Manifest(_, Name::None));
        let is_listed = |digest: &Digest| self.digests().contains_key(digest);
        let is_there = match self.listed(digest) {
            Some(listed) => listed.media_type() == entry.media_type(),
            None => entry.annotation(UNTYPED).is_none() && holders.holds(digest, &is_listed),
        };
        tags.iter().all(points_there)
            && is_there
            && !children.iter().any(|child| {
                let positions = self.digests().get(child.digest());
                positions.is_some_and(|positions| positions.iter().any(is_unnamed))
            })
    }

    /// Returns whether the children of listed indexes must be known before `edit` is made.
    pub(crate) fn needs_indexes(&self, edit: &Edit) -> bool {
        match edit {
            Edit::List { entry, tags, .. } => {
                let moves = |tag| {
                    let old = self.tagged(tag);
                    old.is_some_and(|old| old.digest() != entry.digest())
                };
                if tags.is_empty() {
                    self.listed(entry.digest()).is_none()
                } else {
                    tags.iter().any(moves)
                }
            }
            Edit::Untag(_) | Edit::Delete { .. } => true,
        }
    }

    /// The tags behind `last`, in their order.
    pub(crate) fn tags(&self, last: Option<&str>) -> impl Iterator<Item = &Tag> {
        let sorted = self.sorted.get_or_init(|| {
            let clear = self
                .tags
                .iter()
                .filter(|(_, claim)| claim.winner().is_some());
            let mut tags: Vec<Tag> = clear.map(|(tag, _)| tag.clone()).collect();
            tags.sort_unstable();
            tags
        });
        let start = last.map_or(0, |last| sorted.partition_point(|tag| tag.as_str() <= last));
        sorted[start..].iter()
    }

    /// The content of the file.
    pub(crate) fn encode(&self) -> Result<Bytes> {
        use serde::Serialize;

        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document<'a> {
            schema_version: u32,
            #[serde(skip_serializing_if = "Option::is_none")]
            media_type: &'a Option<tranship::MediaType>,
            #[serde(skip_serializing_if = "Option::is_none")]
            artifact_type: &'a Option<tranship::MediaType>,
            manifests: &'a [Entry],
            #[serde(skip_serializing_if = "Option::is_none")]
            subject: &'a Option<Descriptor>,
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            annotations: &'a tranship::Annotations,
            #[serde(flatten)]
            other: &'a serde_json::Map<String, serde_json::Value>,
        }
        encode_json(&Document {
            schema_version: self.head.schema_version,
            media_type: &self.head.media_type,
            artifact_type: &self.head.artifact_type,
            manifests: &self.entries,
            subject: &self.head.subject,
            annotations: &self.head.annotations,
            other: &self.head.other,
        })
    }
}

impl serde::Serialize for Entry {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Manifest(descriptor, _) => descriptor.serialize(serializer),
            Self::Foreign(value) => value.serialize(serializer),
        }
    }
}

fn named(entries: &[Entry]) -> impl Iterator<Item = (usize, &Digest, &Name)> {
    let named = entries.iter().enumerate();
    named.filter_map(|(position, entry)| match entry {
        Entry::Manifest(descriptor, name) => Some((position, descriptor.digest(), name)),
        Entry::Foreign(_) => None,
    })
}
