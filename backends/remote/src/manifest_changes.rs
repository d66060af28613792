//! Pushes and deletions of manifests, and the changes of the lists of referrers that follow from them.

use tranship::{Descriptor, Error, PushOutcome, Result, Source, Tag};

use crate::manifests::Manifests;
use crate::referrers;

/// Pushes a manifest and sets its tags. If the registry does not maintain the list of the subject's referrers, the
/// manifest is added to the list of the tag scheme.
///
/// If the future is dropped, the manifest may have been pushed without being listed.
pub(crate) async fn push(
    manifests: &Manifests,
    expected: &Descriptor,
    source: &Source<'_>,
    tags: &[Tag],
) -> Result<PushOutcome> {
    let pushed = manifests.write(expected, source, tags).await?;
    if let Some((subject, referrer)) = &pushed.unlisted {
        referrers::add(&manifests.0, subject, referrer).await?;
    }
    Ok(pushed.outcome)
}

/// Deletes a manifest, and removes it from the list of its subject's referrers if the registry does not maintain that.
pub(crate) async fn delete(manifests: &Manifests, target: &Descriptor) -> Result<()> {
    let client = &manifests.0;
    let subject = if !client.learned().referrers.is_yes() {
        manifests.subject(target).await?
    } else if manifests.has(target).await? {
        None
    } else {
        // The registry compares the digest and not the size.
        return Err(Error::not_found(target.digest()));
    };
    manifests.delete(target).await?;
    match subject {
        Some(subject) => referrers::remove(client, &subject, target).await,
        None => Ok(()),
    }
}
