//! The content that was pushed to a docker-archive.

use std::collections::HashMap;

use bytes::Bytes;
use tranship::Digest;

/// The content that was pushed, by its digests.
#[derive(Debug, Default)]
pub(super) struct PushedContent {
    /// Manifests and configs.
    pub(super) content: HashMap<Digest, Bytes>,
    pub(super) layers: HashMap<Digest, PushedLayer>,
}

#[derive(Debug)]
pub(super) struct PushedLayer {
    pub(super) size: u64,
    pub(super) diff_id: Digest,
}

impl PushedContent {
    pub(super) fn size(&self, digest: &Digest) -> Option<u64> {
        let content = self.content.get(digest).map(|content| content.len() as u64);
        content.or_else(|| self.layers.get(digest).map(|layer| layer.size))
    }

    pub(super) fn content(&self, digest: &Digest) -> Option<Bytes> {
        self.content.get(digest).cloned()
    }
}
