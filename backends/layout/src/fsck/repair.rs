//! Puts content in place that is missing or damaged, from another repository.

use tranship::{Descriptor, Error, ErrorKind, Fetcher, Repository, Result, Source};

use super::report::{Finding, FindingKind, Severity};
use crate::children::Children;
use crate::driver::Driver;
use crate::index::{Edit, Snapshot};
use crate::store::Store;

/// Repairs what a finding tells of; `None` if it is nothing that could be repaired.
pub(super) async fn repair(
    store: &Store,
    finding: &Finding,
    from: &dyn Repository,
    snapshot: Option<&Snapshot>,
) -> Option<Result<()>> {
    match finding.kind {
        FindingKind::Missing
        | FindingKind::Truncated
        | FindingKind::Altered
        | FindingKind::Unreadable
            if finding.severity == Severity::Error =>
        {
            Some(replace(store.unchecked_driver(), finding, from).await)
        }
        FindingKind::InvalidLayout if finding.severity == Severity::Error => {
            Some(restore_version(store.unchecked_driver()).await)
        }
        FindingKind::DuplicateTag => Some(settle(store, finding, snapshot?).await),
        _ => None,
    }
}

/// Writes `oci-layout`, if it is missing or was cut short. What is whole and says something else was not
/// written for this version of the format.
async fn restore_version(driver: &dyn Driver) -> Result<()> {
    if let Err(error) = driver.version().await
        && !is_torn(&error)
    {
        return Err(error);
    }
    driver.write_version().await
}

/// Whether a file was not JSON at all.
fn is_torn(error: &Error) -> bool {
    let cause = std::error::Error::source(error);
    let cause = cause.and_then(|cause| cause.downcast_ref::<serde_json::Error>());
    cause.is_some_and(|cause| !cause.is_data())
}

/// Stores the content anew. What lies there is replaced when the new content is complete and
/// verified, and not before.
async fn replace(driver: &dyn Driver, finding: &Finding, from: &dyn Repository) -> Result<()> {
    let target = match &finding.descriptor {
        Some(descriptor) => descriptor.clone(),
        // Nothing refers to it, so nobody says how large it is.
        None => {
            let digest: tranship::Digest = finding.subject.parse()?;
            from.blobs().resolve(&digest.into()).await?
        }
    };
    let store = holder(from, &target).await?;
    driver
        .put_blob(&target, Source::stored(&*store, &target))
        .await
}

/// Where `from` keeps the content: a manifest may lie there as a blob that is not listed.
async fn holder<'a>(
    from: &'a dyn Repository,
    target: &Descriptor,
) -> Result<Box<dyn Fetcher + 'a>> {
    if target.media_type().is_manifest() && from.manifests().exists(target).await? {
        return Ok(from.manifests());
    }
    if from.blobs().exists(target).await? {
        return Ok(from.blobs());
    }
    Err(Error::new(
        ErrorKind::NotFound,
        "the repository to repair from does not have it",
    ))
}

/// Leaves one entry with the tag: the last, as it counts already.
async fn settle(store: &Store, finding: &Finding, snapshot: &Snapshot) -> Result<()> {
    let tag = finding.subject.parse()?;
    let Some(entry) = snapshot.tagged(&tag) else {
        return Ok(());
    };
    store
        .commit(Edit::List {
            entry: entry.plain(),
            tags: vec![tag],
            children: Children::default(),
        })
        .await
}
