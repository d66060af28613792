//! The volumes of a bundle that are open, and where each piece of content is in them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OnceCell;
use tranship::{
    Capabilities, Digest, Error, ErrorKind, MAX_MANIFEST_SIZE, RegistryIdentity, Result, Support,
};

use super::contents::{BlobPart, BundleContents, ContentLocation};
use super::kept::read;
use super::members::MemberName;
use super::node::ContentNode;
use super::stored_part::StoredPart;
use super::volume::Volume;

pub(super) struct OpenBundle {
    pub(super) contents: Arc<BundleContents>,
    pub(super) volumes: Arc<BTreeMap<u32, Volume>>,
    /// Parts of blobs that were saved from volumes which are not open.
    pub(super) saved: BTreeMap<(Digest, u64), StoredPart>,
    pub(super) identity: RegistryIdentity,
    /// The numbers of the manifests that name a subject, by its digest, once they were read.
    pub(super) referrers: OnceCell<HashMap<Digest, Vec<u32>>>,
}

pub(super) fn capabilities() -> Capabilities {
    const READ_ONLY: Support = Support::No("a bundle is read-only");
    Capabilities::all()
        .with_push(READ_ONLY)
        .with_mount(READ_ONLY)
        .with_uploads(READ_ONLY)
        .with_delete_blobs(READ_ONLY)
        .with_delete_manifests(READ_ONLY)
        .with_untag(READ_ONLY)
}

impl OpenBundle {
    /// Returns the parts of the volumes that a piece of content is in, in their order.
    ///
    /// # Errors
    /// `NotFound`, with the reason, if it is not in the volumes that are open.
    pub(super) fn locate(&self, number: u32) -> Result<Vec<StoredPart>> {
        let node = self.contents.node(number)?;
        let missing = |what: &'static str| Error::not_found(node.digest).with_hint(what);
        match self.contents.location(number) {
            None | Some(ContentLocation::Base) => Err(missing(
                "the bundle does not have it, since the destination is expected to: it is of the base of the bundle",
            )),
            Some(ContentLocation::EachVolume) => {
                let name = MemberName::Blob(node.digest);
                let mut found = self
                    .volumes
                    .values()
                    .filter_map(|volume| volume.member(&name));
                found
                    .next()
                    .map(|file| vec![file])
                    .ok_or_else(|| Error::not_found(node.digest))
            }
            Some(ContentLocation::Parts(parts)) => parts
                .iter()
                .map(|part| self.locate_part(node, part))
                .collect(),
        }
    }

    fn locate_part(&self, node: &ContentNode, part: &BlobPart) -> Result<StoredPart> {
        let Some(volume) = self.volumes.get(&part.volume) else {
            let saved = self.saved.get(&(node.digest, part.offset)).cloned();
            return saved.ok_or_else(|| {
                let (number, volumes) = (part.volume, self.contents.volumes);
                let hint = format!("it is in volume {number} of {volumes}, which was not given");
                Error::not_found(node.digest).with_hint(hint)
            });
        };
        let name = match part.length == node.size {
            true => MemberName::Blob(node.digest),
            false => MemberName::Part(node.digest, part.offset),
        };
        volume
            .member(&name)
            .ok_or_else(|| Error::not_found(node.digest))
    }

    /// Returns whether all of a piece of content can be read.
    pub(super) fn has(&self, number: u32) -> bool {
        match self.contents.location(number) {
            None | Some(ContentLocation::Base) => false,
            Some(ContentLocation::EachVolume) => true,
            Some(ContentLocation::Parts(_)) => self.missing_volumes(number).is_empty(),
        }
    }

    /// Returns the volumes that have parts of a blob which cannot be read.
    pub(super) fn missing_volumes(&self, number: u32) -> Vec<u32> {
        let Some(node) = self.contents.lock.get(number) else {
            return Vec::new();
        };
        let parts = self.contents.parts_of(number).iter();
        let missing = parts.filter(|part| {
            let is_saved = self.saved.contains_key(&(node.digest, part.offset));
            !is_saved && !self.volumes.contains_key(&part.volume)
        });
        missing.map(|part| part.volume).collect()
    }

    /// Reads a manifest, and verifies it. Blocks.
    pub(super) fn read_manifest(&self, number: u32) -> Result<Bytes> {
        let node = self.contents.node(number)?;
        let files = self.locate(number)?;
        let Some(file) = files.first().filter(|_| node.size <= MAX_MANIFEST_SIZE) else {
            return Err(Error::not_found(node.digest));
        };
        let content = read(&file.open()?)?;
        if content.len() as u64 != node.size || !node.digest.matches(&content) {
            let message = format!("hashes to {}", Digest::of(&content));
            return Err(Error::new(ErrorKind::DigestMismatch, message)
                .with_subject(self.contents.describe(number))
                .with_hint("the bundle is damaged; get it again"));
        }
        Ok(content)
    }
}
