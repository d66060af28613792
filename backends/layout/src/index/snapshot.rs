//! One state of `index.json`.

use std::collections::{BTreeMap, HashSet};
use std::sync::OnceLock;

use bytes::Bytes;
use serde::Serialize;
use tranship::{
    Annotations, Descriptor, Digest, Error, Index, MediaType, Result, Tag, encode_json,
};

use super::change::{Edit, Holders};
use super::digests::Digests;
use super::entries::{Entries, Entry};
use super::names::{CONTAINERD_NAME, Name, REF_NAME, UNTYPED};
use super::tag_claims::{Claim, TagClaims};
use crate::driver::IndexContent;

/// The index of a layout that holds nothing.
pub(crate) const EMPTY_INDEX: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

/// How large the file may be, in bytes, if it lists nothing. A larger one need not be read to know.
pub(crate) const MAX_EMPTY_INDEX: u64 = 4096;

/// Whether the file with this content lists nothing. One that cannot be read may list something.
pub(crate) fn lists_nothing(content: &[u8]) -> bool {
    Snapshot::decode(content).is_ok_and(|snapshot| snapshot.len() == 0)
}

/// One state of `index.json`. It never changes, and clones share their content.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    // All but the manifests.
    pub(super) head: Index,
    pub(super) entries: Entries,
    pub(super) tags: TagClaims,
    // Set by the first call that needs it. A look at a tag does not.
    digests: OnceLock<Digests>,
    pub(super) is_unambiguous: bool,
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

impl Snapshot {
    /// The index of a layout that is not there yet.
    pub(crate) fn empty() -> Self {
        Self::new(Index::new(Vec::new()), Vec::new())
    }

    pub(super) fn new(head: Index, entries: Vec<Entry>) -> Self {
        let entries = Entries::new(entries);
        Self {
            tags: TagClaims::new(&entries),
            head,
            entries,
            digests: OnceLock::new(),
            is_unambiguous: true,
        }
    }

    pub(super) fn digests(&self) -> &Digests {
        self.digests.get_or_init(|| Digests::new(&self.entries))
    }

    /// Sets the entry at `position`; `None` removes it. Returns whether that changes anything.
    pub(super) fn replace(&mut self, position: usize, entry: Option<Entry>) -> bool {
        let old = self.entries.get(position);
        if old == entry.as_ref() {
            return false;
        }
        self.digests();
        if let (Some(Entry::Manifest(old, name)), Some(digests)) = (old, self.digests.get_mut()) {
            digests.remove(position, old, name);
            self.tags.remove(position, name);
        }
        if let Some(new) = &entry {
            self.found(position, new);
        }
        self.entries.replace(position, entry);
        true
    }

    /// Adds an entry at the end.
    pub(super) fn append(&mut self, entry: Entry) {
        let position = self.entries.append(entry.clone());
        self.digests();
        self.found(position, &entry);
    }

    fn found(&mut self, position: usize, entry: &Entry) {
        if let (Entry::Manifest(descriptor, name), Some(digests)) = (entry, self.digests.get_mut())
        {
            digests.insert(position, descriptor, name);
            self.tags.insert(position, name);
        }
    }

    /// The entries that can be read, in their order.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = &Descriptor> {
        self.entries().filter_map(Entry::descriptor)
    }

    /// The entries that can be read, in their order, with their tags.
    pub(crate) fn listed_entries(&self) -> impl Iterator<Item = IndexEntry> {
        self.entries().filter_map(|entry| {
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

    /// Returns the entries of image indexes.
    pub(crate) fn indexes(&self) -> impl Iterator<Item = &Descriptor> {
        let positions = self.digests().indexes();
        positions.filter_map(|position| self.entries.get(position)?.descriptor())
    }

    /// All entries, in their order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|(_, entry)| entry)
    }

    /// Returns the number of entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the same state without gaps between the entries, if there are many.
    pub(super) fn compacted(self) -> Self {
        if self.entries.is_sparse() {
            let entries = self.entries().cloned().collect();
            Self::new(self.head, entries)
        } else {
            self
        }
    }

    /// The same without the entries of some manifests that have no name.
    pub(crate) fn without_unnamed(&self, dropped: &HashSet<Digest>) -> Self {
        let is_dropped = |entry: &&Entry| match entry {
            Entry::Manifest(descriptor, Name::None) => dropped.contains(descriptor.digest()),
            Entry::Manifest(..) | Entry::Foreign(_) => false,
        };
        let kept = self.entries().filter(|entry| !is_dropped(entry));
        Self::new(self.head.clone(), kept.cloned().collect())
    }

    /// What `tag` points at.
    pub(crate) fn tagged(&self, tag: &Tag) -> Option<&Descriptor> {
        let winner = self.claim(tag)?.winner()?;
        self.entries.get(winner)?.descriptor()
    }

    /// Returns the error for a tag that points at nothing.
    pub(crate) fn no_such(&self, tag: &Tag) -> Error {
        let error = Error::not_found(tag);
        if let Some(Claim::Ambiguous) = self.claim(tag) {
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
        let first = self.digests().positions(digest).next()?;
        self.entries.get(first)?.descriptor()
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
        let points_there = |tag| match self.claim(tag) {
            Some(Claim::Exact(position) | Claim::Suffix(position)) => {
                let target = self.entries.get(position).and_then(Entry::descriptor);
                target.is_some_and(|target| {
                    target.digest() == digest && target.media_type() == entry.media_type()
                })
            }
            Some(Claim::Last(_) | Claim::Ambiguous) | None => false,
        };
        let is_listed = |digest: &Digest| self.digests().contains(digest);
        let is_there = match self.listed(digest) {
            Some(listed) => listed.media_type() == entry.media_type(),
            None => entry.annotation(UNTYPED).is_none() && holders.holds(digest, &is_listed),
        };
        tags.iter().all(points_there)
            && is_there
            && !children.iter().any(|child| {
                let mut unnamed = self.digests().unnamed(child.digest());
                unnamed.next().is_some()
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

    /// Returns the tags after `last`, in their order.
    pub(crate) fn tags(&self, last: Option<&str>) -> impl Iterator<Item = &Tag> {
        let tags = self.tags.after(last);
        tags.filter(|tag| self.tagged(tag).is_some())
    }

    fn claim(&self, tag: &Tag) -> Option<Claim> {
        self.tags.claim(tag, &self.entries)
    }

    /// Returns the content of the file, in pieces. Those of entries that have not changed since an earlier state was
    /// encoded are shared with it.
    pub(crate) fn encode(&self) -> Result<IndexContent> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Before<'a> {
            schema_version: u32,
            #[serde(skip_serializing_if = "Option::is_none")]
            media_type: &'a Option<MediaType>,
            #[serde(skip_serializing_if = "Option::is_none")]
            artifact_type: &'a Option<MediaType>,
            // Always the last, and cut in two.
            manifests: [(); 0],
        }
        #[derive(Serialize)]
        struct After<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            subject: &'a Option<Descriptor>,
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            annotations: &'a Annotations,
            #[serde(flatten)]
            other: &'a serde_json::Map<String, serde_json::Value>,
        }
        const COMMA: Bytes = Bytes::from_static(b",");
        let before = encode_json(&Before {
            schema_version: self.head.schema_version,
            media_type: &self.head.media_type,
            artifact_type: &self.head.artifact_type,
            manifests: [],
        })?;
        let after = encode_json(&After {
            subject: &self.head.subject,
            annotations: &self.head.annotations,
            other: &self.head.other,
        })?;
        let mut pieces = vec![before.slice(..before.len() - "]}".len())];
        for (number, entries) in self.entries.json()?.into_iter().enumerate() {
            if number > 0 {
                pieces.push(COMMA);
            }
            pieces.push(entries);
        }
        pieces.push(Bytes::from_static(b"]"));
        if after.as_ref() != b"{}" {
            pieces.push(COMMA);
        }
        pieces.push(after.slice("{".len()..));
        Ok(IndexContent::new(pieces))
    }
}
