//! Pieces of content and repositories of a bundle or a lock.

use std::collections::{BTreeMap, HashSet};

use tranship::{ContentKind, Descriptor, Digest, Error, ErrorKind, MediaType, Result, Tag};

/// The most pieces of content.
pub(super) const MAX_CONTENTS: usize = 1_000_000;

/// One piece of content. It is known by its number, which is its position in the list of all contents; what it refers to
/// has lower numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentNode {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) media_type: Option<MediaType>,
    pub(super) children: Box<[u32]>,
}

impl ContentNode {
    /// Returns the digest.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Returns the size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns whether it is a manifest or a blob.
    #[must_use]
    pub fn kind(&self) -> ContentKind {
        match self.media_type {
            Some(_) => ContentKind::Manifest,
            None => ContentKind::Blob,
        }
    }

    /// Returns the descriptor: of a manifest with its media type, of a blob with
    /// [`OCTET_STREAM`](MediaType::OCTET_STREAM).
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        let media_type = self.media_type.clone();
        let media_type = media_type.unwrap_or(MediaType::OCTET_STREAM);
        Descriptor::new(media_type, self.digest, self.size)
    }

    /// Returns the numbers of what a manifest refers to, with its subject. Entries of an index, and layers that must not
    /// be distributed, are left out if they were not copied.
    #[must_use]
    pub fn children(&self) -> &[u32] {
        &self.children
    }

    pub(super) fn is_manifest(&self) -> bool {
        self.media_type.is_some()
    }
}

/// The tags and manifests of one repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RepositoryContents {
    pub(super) tags: BTreeMap<Tag, u32>,
    pub(super) manifests: Vec<u32>,
    pub(super) is_incomplete: bool,
}

impl RepositoryContents {
    /// Returns whether images are missing that were chosen for the repository and could not be read when the bundle was
    /// made.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.is_incomplete
    }

    /// Returns the tags, each with the number of its manifest.
    #[must_use]
    pub fn tags(&self) -> &BTreeMap<Tag, u32> {
        &self.tags
    }

    /// Returns the numbers of all manifests of the repository, those without a tag and referrers included, in
    /// ascending order.
    #[must_use]
    pub fn manifests(&self) -> &[u32] {
        &self.manifests
    }

    pub(super) fn has(&self, manifest: u32) -> bool {
        self.manifests.binary_search(&manifest).is_ok()
    }
}

/// Checks a piece of content of the list `nodes`.
///
/// # Errors
/// `Corrupt` if it cannot be at this place of the list.
pub(super) fn check_node(number: u32, node: &ContentNode, nodes: &[ContentNode]) -> Result<()> {
    let digest = &node.digest;
    match &node.media_type {
        None if !node.children.is_empty() => {
            return Err(invalid(format!(
                "the blob {digest} refers to other content"
            )));
        }
        Some(media_type) if !media_type.is_manifest() => {
            return Err(invalid(format!(
                "{digest} has a type that is not that of a manifest"
            )));
        }
        Some(_) if node.size > tranship::MAX_MANIFEST_SIZE => {
            let limit = tranship::MAX_MANIFEST_SIZE;
            return Err(invalid(format!(
                "the manifest {digest} has more than {limit} bytes"
            )));
        }
        _ => {}
    }
    let mut seen = HashSet::with_capacity(node.children.len().min(nodes.len()));
    for child in &node.children {
        // This excludes cycles.
        if *child >= number {
            return Err(invalid(format!(
                "{digest} refers to content that follows it in the list"
            )));
        }
        if !seen.insert(*child) {
            return Err(invalid(format!(
                "{digest} refers to the same content twice"
            )));
        }
    }
    Ok(())
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, message.into())
}

pub(super) fn too_many_contents() -> Error {
    let limit = MAX_CONTENTS;
    Error::new(
        ErrorKind::SizeExceedsLimit,
        format!("a bundle has at most {limit} pieces of content"),
    )
    .with_hint("make several bundles of fewer images")
}
