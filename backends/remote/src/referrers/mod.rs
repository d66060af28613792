//! Referrers: by the API, or by the tags that stand in for it (distribution-spec, "Listing
//! Referrers" and "Referrers Tag Schema").

mod fallback;
mod listing;
mod merge;

use tranship::{Descriptor, ErrorKind, ManifestDocument, Result};

use crate::handle::Handle;
use crate::manifests::Manifests;
pub(crate) use listing::list;
use merge::Change;
pub(crate) use merge::Updates;

/// Enters a manifest into the list that we keep of its subject's referrers.
pub(crate) async fn add(
    handle: &Handle,
    subject: &Descriptor,
    referrer: &Descriptor,
) -> Result<()> {
    let change = Change::Add(referrer.clone());
    merge::change(handle, subject.digest(), change).await
}

/// Takes a manifest off the list that we keep of its subject's referrers, if there is one.
pub(crate) async fn remove(
    handle: &Handle,
    subject: &Descriptor,
    referrer: &Descriptor,
) -> Result<()> {
    let change = Change::Remove(referrer.plain());
    merge::change(handle, subject.digest(), change).await
}

/// The subject of a manifest that is there; `None` also for what is missing or cannot be decoded,
/// which shall be deleted all the same.
pub(crate) async fn subject_of(
    manifests: &Manifests,
    target: &Descriptor,
) -> Result<Option<Descriptor>> {
    let limit = manifests.0.max_manifest_size();
    let content = match manifests.read(target).await {
        Ok(content) => content.bytes(limit).await?,
        Err(error) if error.is_retryable() => return Err(error),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::SizeMismatch) => {
            return Err(error);
        }
        Err(_) => return Ok(None),
    };
    let document = ManifestDocument::decode(target.media_type(), &content)
        .ok()
        .flatten();
    Ok(document.and_then(|document| document.subject().cloned()))
}
