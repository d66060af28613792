//! What was pushed to an archive of docker.

use std::collections::HashMap;

use bytes::Bytes;
use tranship::Digest;

/// What was pushed, by the digests under which it was.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Manifests and configs.
    pub(super) content: HashMap<Digest, Bytes>,
    pub(super) layers: HashMap<Digest, Pushed>,
}

#[derive(Debug)]
pub(super) struct Pushed {
    pub(super) size: u64,
    pub(super) diff_id: Digest,
}

impl Known {
    pub(super) fn size(&self, digest: &Digest) -> Option<u64> {
        let content = self.content.get(digest).map(|content| content.len() as u64);
        content.or_else(|| self.layers.get(digest).map(|layer| layer.size))
    }

    pub(super) fn content(&self, digest: &Digest) -> Option<Bytes> {
        self.content.get(digest).cloned()
    }
}
