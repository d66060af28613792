//! Deleting what a plan says.

use std::collections::HashSet;

use tranship::{
    Descriptor, Digest, Error, ErrorKind, Repository, ResultExt as _, Tag, TagOrDigest,
};

use super::graph::{Graph, Search};
use super::plan::Plan;

/// What became of a [`Plan`].
#[non_exhaustive]
#[derive(Debug, Default)]
pub struct DeletionOutcome {
    /// The manifests that were deleted, with all their tags.
    pub deleted: Vec<Descriptor>,
    /// The tags that were removed from manifests which stay.
    pub untagged: Vec<Tag>,
    /// The tags that were moved or removed since the plan was made. What they named and name stays.
    pub moved: Vec<Tag>,
    /// What could not be deleted, or why nothing was deleted.
    pub failures: Vec<Error>,
}

impl Plan {
    /// Deletes what the plan says: first the manifests of tags, then what only these lead to, then what refers to them.
    ///
    /// Each tag is resolved again first. If it was moved or removed, what it named and what it names now stay, with
    /// everything that they lead to. If a manifest cannot be deleted, what it leads to and what refers to it stay. The
    /// rest is deleted nevertheless.
    ///
    /// Tags that were made since the plan was made are not known to it: carry out a plan at once, or make a new one and
    /// compare it by [`is_same`](Self::is_same).
    ///
    /// If the future is dropped, what was deleted stays deleted, and a new plan continues.
    pub async fn carry_out(&self, repository: &dyn Repository) -> DeletionOutcome {
        let mut outcome = DeletionOutcome::default();
        let mut stays: HashSet<Digest> = HashSet::new();
        let mut to_untag = Vec::new();
        for planned in &self.tags {
            let found = repository
                .resolve(&TagOrDigest::Tag(planned.tag.clone()))
                .await;
            let now = match found {
                Ok(found) if found.digest() == planned.manifest.digest() => {
                    if planned.manifest_stays {
                        to_untag.push(&planned.tag);
                    }
                    continue;
                }
                Ok(found) => vec![found],
                Err(error) if error.is_not_found() => Vec::new(),
                Err(error) => {
                    let error = error.with_operation("resolve");
                    outcome.failures.push(error.with_subject(&planned.tag));
                    return outcome;
                }
            };
            outcome.moved.push(planned.tag.clone());
            self.graph
                .collect_below(*planned.manifest.digest(), &mut stays);
            match Graph::read(repository, now, Search::Staying).await {
                Ok(graph) => stays.extend(graph.nodes.into_keys()),
                Err(error) => {
                    outcome.failures.push(error);
                    return outcome;
                }
            }
        }
        for tag in to_untag {
            match repository.untag(tag).await.during("untag", tag) {
                Ok(()) => outcome.untagged.push(tag.clone()),
                Err(error) => {
                    let untags_nothing = error.kind() == ErrorKind::Unsupported;
                    outcome.failures.push(error);
                    if untags_nothing {
                        break;
                    }
                }
            }
        }
        for manifest in &self.manifests {
            if stays.contains(manifest.digest()) {
                continue;
            }
            let deleted = repository.manifests().delete(manifest).await;
            match deleted.during("delete", manifest.digest()) {
                Ok(()) => outcome.deleted.push(manifest.clone()),
                // An index may have taken it along, or another program deleted it.
                Err(error) if error.is_not_found() => {}
                Err(error) => {
                    self.graph.collect_below(*manifest.digest(), &mut stays);
                    let deletes_nothing =
                        error.kind() == ErrorKind::Unsupported && outcome.deleted.is_empty();
                    outcome.failures.push(error);
                    if deletes_nothing {
                        break;
                    }
                }
            }
        }
        outcome
    }
}
