//! The manifests of one repository, its tags, and who refers to whom.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use tranship::blocking;
use tranship::{
    Descriptor, Digest, Error, ManifestDocument, Result, ResultExt as _, Tag, TagOrDigest,
    describe_referrer,
};

use crate::store::Blob;

/// A manifest, and what was read in it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) blob: Arc<Blob>,
    /// As lists of referrers have it: media type, digest, size, artifact type and annotations.
    pub(crate) description: Descriptor,
    pub(crate) subject: Option<Digest>,
    successors: BTreeSet<Digest>,
    tags: BTreeSet<Tag>,
}

impl Entry {
    /// Reads `blob` as the manifest `expected`, on another thread if it is large.
    ///
    /// # Errors
    /// `InvalidManifest` if it cannot be decoded as `expected` says, `Unsupported` if that is no type
    /// of a manifest.
    pub(crate) async fn decode(expected: &Descriptor, blob: Arc<Blob>) -> Result<Self> {
        let node = expected.plain();
        let content = blob.to_bytes();
        blocking::run_sized(content.len(), move || {
            let document = ManifestDocument::decode(node.media_type(), &content)
                .during("decode", node.digest())?
                .ok_or_else(|| not_a_manifest(&node))?;
            Ok(Self {
                description: describe_referrer(&node, &document),
                subject: document.subject().map(|subject| *subject.digest()),
                successors: document
                    .successors()
                    .iter()
                    .map(|successor| *successor.digest())
                    .collect(),
                tags: BTreeSet::new(),
                blob,
            })
        })
        .await
    }

    fn digest(&self) -> Digest {
        *self.description.digest()
    }
}

pub(crate) fn not_a_manifest(descriptor: &Descriptor) -> Error {
    Error::unsupported(format!(
        "{} is not the type of a manifest",
        descriptor.media_type()
    ))
    .with_subject(descriptor.digest())
}

/// All of it changes together, under one lock.
#[derive(Debug, Default)]
pub(crate) struct ManifestIndex {
    entries: HashMap<Digest, Entry>,
    tags: BTreeMap<Tag, Digest>,
    // From each node, present or not, to the manifests that refer to it.
    parents: HashMap<Digest, BTreeSet<Digest>>,
}

impl ManifestIndex {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What `reference` names.
    pub(crate) fn resolve(&self, reference: &TagOrDigest) -> Option<&Entry> {
        match reference {
            TagOrDigest::Tag(tag) => self.entries.get(self.tags.get(tag)?),
            TagOrDigest::Digest(digest) => self.entries.get(digest),
        }
    }

    /// The manifest under the digest of `target`, whatever its size and media type.
    pub(crate) fn get(&self, target: &Descriptor) -> Option<&Entry> {
        self.entries.get(target.digest())
    }

    /// Adds a manifest. If it is there already, it is now known as `entry` says, and keeps its tags.
    /// Answers what was replaced.
    pub(crate) fn insert(&mut self, mut entry: Entry) -> Option<Entry> {
        let digest = entry.digest();
        let mut replaced = self.entries.remove(&digest);
        if let Some(replaced) = &mut replaced {
            entry.tags = std::mem::take(&mut replaced.tags);
            self.forget_parent(replaced);
        }
        for successor in &entry.successors {
            self.parents.entry(*successor).or_default().insert(digest);
        }
        self.entries.insert(digest, entry);
        replaced
    }

    /// Takes away a manifest and the tags that point at it.
    pub(crate) fn remove(&mut self, digest: &Digest) -> Option<Entry> {
        let entry = self.entries.remove(digest)?;
        for tag in &entry.tags {
            self.tags.remove(tag);
        }
        self.forget_parent(&entry);
        Some(entry)
    }

    /// Points `tag` at the manifest `digest`; `false` if there is none.
    pub(crate) fn tag(&mut self, digest: &Digest, tag: &Tag) -> bool {
        let Some(entry) = self.entries.get_mut(digest) else {
            return false;
        };
        entry.tags.insert(tag.clone());
        let before = self.tags.insert(tag.clone(), *digest);
        if let Some(before) = before.filter(|before| before != digest)
            && let Some(entry) = self.entries.get_mut(&before)
        {
            entry.tags.remove(tag);
        }
        true
    }

    /// Takes `tag` away; `false` if there is none.
    pub(crate) fn untag(&mut self, tag: &Tag) -> bool {
        let Some(digest) = self.tags.remove(tag) else {
            return false;
        };
        if let Some(entry) = self.entries.get_mut(&digest) {
            entry.tags.remove(tag);
        }
        true
    }

    /// The tags from `start` on.
    pub(crate) fn tags_from(&self, start: Bound<&str>) -> impl Iterator<Item = &Tag> {
        self.tags
            .range::<str, _>((start, Bound::Unbounded))
            .map(|(tag, _)| tag)
    }

    /// The manifests from `start` on that refer to `node`.
    pub(crate) fn parents_from(
        &self,
        node: &Digest,
        start: Bound<&Digest>,
    ) -> impl Iterator<Item = &Entry> {
        self.parents
            .get(node)
            .into_iter()
            .flat_map(move |parents| parents.range((start, Bound::Unbounded)))
            .filter_map(|parent| self.entries.get(parent))
    }

    fn forget_parent(&mut self, parent: &Entry) {
        let digest = parent.digest();
        for successor in &parent.successors {
            if let Some(parents) = self.parents.get_mut(successor) {
                parents.remove(&digest);
                if parents.is_empty() {
                    self.parents.remove(successor);
                }
            }
        }
    }
}
