//! Deleting what a plan says.

use std::collections::HashSet;

use tranship::{Descriptor, Digest, Error, Repository, ResultExt as _, Tag, TagOrDigest};

use super::plan::Plan;

/// What became of a [`Plan`].
#[non_exhaustive]
#[derive(Debug, Default)]
pub struct DeletionOutcome {
    /// The manifests that were deleted, with all their tags.
    pub deleted: Vec<Descriptor>,
    /// The tags that were removed from manifests which stay.
    pub untagged: Vec<Tag>,
    /// The tags that were moved or removed since the plan was made. What they named then is left alone.
    pub moved: Vec<Tag>,
    /// What could not be deleted. The rest was deleted nevertheless.
    pub failures: Vec<Error>,
}

impl Plan {
    /// Deletes what the plan says: first the tags and manifests that were chosen, then what only these led to.
    ///
    /// Each tag is resolved once more before that. If it names something else by now, or is gone, neither what it named nor what it names
    /// now is deleted. A failure does not stop the rest, except that the first manifest which the repository refuses to
    /// delete because it does not delete any ends it.
    ///
    /// If the future is dropped, what was deleted stays deleted, and a new plan continues.
    pub async fn carry_out(&self, repository: &dyn Repository) -> DeletionOutcome {
        let mut outcome = DeletionOutcome::default();
        let mut left_alone: HashSet<Digest> = HashSet::new();
        for planned in &self.tags {
            let found = repository
                .resolve(&TagOrDigest::Tag(planned.tag.clone()))
                .await;
            match found {
                Ok(found) if found.digest() == planned.manifest.digest() => {}
                Ok(_) => {
                    outcome.moved.push(planned.tag.clone());
                    left_alone.insert(*planned.manifest.digest());
                    continue;
                }
                Err(error) if error.is_not_found() => {
                    outcome.moved.push(planned.tag.clone());
                    left_alone.insert(*planned.manifest.digest());
                    continue;
                }
                Err(error) => {
                    left_alone.insert(*planned.manifest.digest());
                    outcome
                        .failures
                        .push(error.with_operation("resolve").with_subject(&planned.tag));
                    continue;
                }
            }
            if planned.manifest_stays {
                match repository
                    .untag(&planned.tag)
                    .await
                    .during("untag", &planned.tag)
                {
                    Ok(()) => outcome.untagged.push(planned.tag.clone()),
                    Err(error) => outcome.failures.push(error),
                }
            }
        }
        for manifest in &self.manifests {
            if left_alone.contains(manifest.digest()) {
                continue;
            }
            let deleted = repository.manifests().delete(manifest).await;
            match deleted.during("delete", manifest.digest()) {
                Ok(()) => outcome.deleted.push(manifest.clone()),
                // An index may have taken it along, or another program deleted it.
                Err(error) if error.is_not_found() => {}
                Err(error) => {
                    let is_final = error.kind() == tranship::ErrorKind::Unsupported
                        && outcome.deleted.is_empty();
                    outcome.failures.push(error);
                    if is_final {
                        break;
                    }
                }
            }
        }
        outcome
    }
}
