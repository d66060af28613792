//! Which manifests of a bundle name which other as their subject.

use std::collections::HashMap;

use tranship::{Descriptor, Digest, ManifestDocument, Result, ResultExt as _, describe_referrer};

use super::opened::OpenBundle;

/// Returns the numbers of the manifests that name a subject, by its digest. Reads all manifests of the bundle, and
/// blocks.
pub(super) fn read(bundle: &OpenBundle) -> Result<HashMap<Digest, Vec<u32>>> {
    let mut found: HashMap<Digest, Vec<u32>> = HashMap::new();
    for (number, _) in bundle.contents.stored_manifests() {
        if let Some(subject) = document(bundle, number)?.subject() {
            found.entry(*subject.digest()).or_default().push(number);
        }
    }
    Ok(found)
}

/// Reads and decodes a manifest. Blocks.
pub(super) fn document(bundle: &OpenBundle, number: u32) -> Result<ManifestDocument> {
    let descriptor = bundle.contents.node(number)?.descriptor();
    let content = bundle.read_manifest(number)?;
    let document = ManifestDocument::decode(descriptor.media_type(), &content);
    let document = document.during("decode", descriptor.digest())?;
    document.ok_or_else(|| tranship::Error::not_found(descriptor.digest()))
}

/// Returns the descriptor of a referrer, with its artifact type and annotations. Blocks.
pub(super) fn describe(bundle: &OpenBundle, number: u32) -> Result<Descriptor> {
    let descriptor = bundle.contents.node(number)?.descriptor();
    Ok(describe_referrer(&descriptor, &document(bundle, number)?))
}
