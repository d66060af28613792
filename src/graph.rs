//! The graph that manifests make: what a manifest refers to, and what a list of referrers says of it.

use crate::descriptor::Descriptor;
use crate::error::{Result, ResultExt as _};
use crate::manifest::ManifestDocument;
use crate::storage::Fetcher;

/// Reads the manifest `node` from `store` and decodes it; `None`, without reading, if its media type
/// is not that of a manifest.
///
/// # Errors
/// - [`SizeExceedsLimit`](crate::ErrorKind::SizeExceedsLimit) if it has more than `limit` bytes.
/// - [`InvalidManifest`](crate::ErrorKind::InvalidManifest) if it cannot be decoded.
/// - What the store fails with.
pub async fn fetch_document(
    store: &dyn Fetcher,
    node: &Descriptor,
    limit: u64,
) -> Result<Option<ManifestDocument>> {
    if !node.media_type().is_manifest() {
        return Ok(None);
    }
    let content = store.fetch(node).await?.bytes(limit).await?;
    ManifestDocument::decode(node.media_type(), &content).during("decode", node.digest())
}

/// What the manifest `node` in `store` refers to: its subject, then its config, then its layers,
/// manifests or blobs. Types that are not manifests are leaves and are not read.
///
/// # Errors
/// As [`fetch_document`].
pub async fn successors(
    store: &dyn Fetcher,
    node: &Descriptor,
    limit: u64,
) -> Result<Vec<Descriptor>> {
    let document = fetch_document(store, node, limit).await?;
    Ok(document.map_or_else(Vec::new, |document| document.successors()))
}

/// How a list of referrers describes the manifest `node` whose content is `document`: the artifact
/// type and the annotations are those of the document, whatever `node` said before
/// (distribution-spec, "Listing Referrers").
#[must_use]
pub fn describe_referrer(node: &Descriptor, document: &ManifestDocument) -> Descriptor {
    node.plain()
        .with_artifact_type(document.artifact_type().cloned())
        .with_annotations(document.annotations().clone())
}
