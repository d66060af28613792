//! Counts the referrers of a manifest.

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use tranship::{Descriptor, MediaType, Repository, Result, ResultExt as _, digest_tagged};

use super::model::{ReferrerCount, ReferrerSummary};

/// How many referrers are counted.
const MAX_COUNTED: usize = 10_000;

/// Counts the referrers of `subject` by their types, and finds the tags that attach something to it.
pub(super) async fn summarize(
    repository: &dyn Repository,
    subject: &Descriptor,
) -> Result<ReferrerSummary> {
    let mut summary = ReferrerSummary::default();
    let mut types: BTreeMap<Option<MediaType>, usize> = BTreeMap::new();
    let mut listing = repository.referrers(subject, None);
    while let Some(referrer) = listing
        .try_next()
        .await
        .during("list the referrers of", subject.digest())?
    {
        if summary.count == MAX_COUNTED {
            summary.truncated = true;
            break;
        }
        summary.count += 1;
        *types.entry(referrer.artifact_type().cloned()).or_default() += 1;
    }
    let types = types.into_iter();
    summary.types = types
        .map(|(artifact_type, count)| ReferrerCount {
            artifact_type,
            count,
        })
        .collect();
    let tagged = digest_tagged(repository, subject.digest()).await?;
    summary.digest_tags = tagged.iter().map(|(tag, _)| tag.to_string()).collect();
    Ok(summary)
}
