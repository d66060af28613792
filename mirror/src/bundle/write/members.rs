//! The members of a volume, in their order.

use bytes::Bytes;
use tranship::{Descriptor, Error, MediaType, Result};
use tranship_tar::{file_header, padding};

use super::super::members::{self, BUNDLE, INDEX, OCI_LAYOUT, OCI_LAYOUT_CONTENT};
use super::super::plan::Plan;
use super::origin::OriginReader;

impl Plan {
    /// Returns the first member of a volume, with its header and its padding.
    pub(super) fn head(&self, volume: u32) -> Result<Bytes> {
        small_member(BUNDLE, &self.contents.encode(volume))
    }

    /// Returns the members after the first one that are neither manifests nor blobs.
    pub(super) fn layout_members(&self) -> Result<[Bytes; 2]> {
        Ok([
            small_member(OCI_LAYOUT, OCI_LAYOUT_CONTENT.as_bytes())?,
            small_member(INDEX, &self.index)?,
        ])
    }

    /// Returns the member of a manifest.
    pub(super) async fn manifest_member(&self, number: u32) -> Result<Bytes> {
        let digest = self.contents.node(number)?.digest;
        let content = self.manifests.get(&digest).await?;
        let content = content.ok_or_else(|| Error::not_found(digest))?;
        small_member(&members::blob(&digest), &content)
    }

    /// Returns a reader of a blob from byte `start` on, to its end or `end`.
    pub(super) fn reader(
        &self,
        number: u32,
        start: u64,
        end: Option<u64>,
    ) -> Result<OriginReader<'_>> {
        let node = self.contents.node(number)?;
        let origins = self.origins.get(&number).map_or(&[][..], Vec::as_slice);
        let descriptor = Descriptor::new(MediaType::OCTET_STREAM, node.digest, node.size);
        Ok(OriginReader::new(
            origins,
            descriptor,
            start,
            end.unwrap_or(node.size),
        ))
    }
}

/// Returns a member with its header and its padding.
pub(super) fn small_member(name: &str, content: &[u8]) -> Result<Bytes> {
    let size = content.len() as u64;
    let header = file_header(name, size)?;
    Ok([&header[..], content, padding(size)].concat().into())
}
