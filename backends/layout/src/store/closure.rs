//! Makes durable the content that manifests refer to.

use std::sync::Arc;

use tranship::{Descriptor, Digest, ErrorKind, ManifestDocument, Result};

use super::Store;
use crate::sizes::Sizes;

impl Store {
    /// Makes durable everything that a manifest refers to, as [`secure_closure`](Self::secure_closure) does.
    pub(crate) async fn secure_successors(&self, document: &ManifestDocument) -> Result<()> {
        if !self.driver().await?.is_to_secure() {
            return Ok(());
        }
        let successors = document.iter_successors();
        let unknown = match &self.batch {
            Some(batch) => batch.pending.unknown(successors),
            None => successors.cloned().collect(),
        };
        self.secure_closure(unknown).await
    }

    /// Makes `targets` durable, and everything that they refer to, whoever stored it: now, or with the batch.
    /// Absent content is skipped, since a layout need not hold everything that it refers to.
    pub(crate) async fn secure_closure(&self, targets: Vec<Descriptor>) -> Result<()> {
        let driver = self.driver().await?;
        if !driver.is_to_secure() {
            return Ok(());
        }
        let mut seen = Sizes::default();
        let mut next = targets;
        while let Some(target) = next.pop() {
            let digest = target.digest();
            if seen.contains(digest) || driver.blob_size(digest).await? != Some(target.size()) {
                continue;
            }
            if target.media_type().is_manifest() {
                if self.is_secured(digest).await? {
                    self.rely_on(digest, target.size());
                    continue;
                }
                next.extend(self.successors(&target).await?);
            }
            seen.insert(digest, target.size());
            self.rely_on_found(digest, target.size());
        }
        if self.is_batch() || seen.is_empty() {
            return Ok(());
        }
        driver.secure_blobs(Arc::new(seen)).await
    }

    /// Returns whether the index leads to the manifest `digest`. Every change of the index makes durable
    /// everything that it leads to.
    async fn is_secured(&self, digest: &Digest) -> Result<bool> {
        if self.is_batch() {
            return self.vouches_for(digest).await;
        }
        let snapshot = self.index().await?;
        Ok(self.leads_to(&snapshot, digest).await)
    }

    /// Returns what a manifest refers to that the batch, if this is one, does not know; nothing if the manifest
    /// cannot be read.
    async fn successors(&self, target: &Descriptor) -> Result<Vec<Descriptor>> {
        let content = match self.read_manifest(target.digest()).await {
            Err(error) if error.kind() == ErrorKind::SizeExceedsLimit => None,
            content => content?,
        };
        let document = content.and_then(|content| {
            let document = ManifestDocument::decode_plain(target.media_type(), &content);
            document.ok().flatten()
        });
        let Some(document) = document else {
            return Ok(Vec::new());
        };
        Ok(match &self.batch {
            Some(batch) => batch.pending.unknown(document.iter_successors()),
            None => document.into_successors(),
        })
    }
}
