//! Deletes what no rule chooses, in the repositories that images are copied to.
//!
//! Only repositories in which the rules choose something are looked at, and only if all of it could be listed and
//! copied. So a registry that is out of reach, or a list that is empty by mistake, deletes nothing.

use std::collections::{BTreeSet, HashSet};

use futures_util::{StreamExt as _, stream};
use tranship::{Digest, Error, Result, ResultExt as _, Tag, TagOrDigest};
use tranship_artifact::retention::{self, DeletionOutcome, Selection};
use tranship_artifact::tags::TagFilter;

use crate::jobs::{Outcome, Place, Report};
use crate::select::Target;

/// So many repositories are looked at at the same time.
const CONCURRENCY: usize = 4;

/// What no rule chooses.
#[non_exhaustive]
#[derive(Debug, Default)]
pub struct PrunePlan {
    /// The repositories of which something is deleted, with what that is.
    pub repositories: Vec<(Place, retention::Plan)>,
    /// The names of the repositories that are left alone because something that leads to them could not be listed or
    /// copied.
    pub skipped: Vec<String>,
    /// The repositories that could not be looked at, which are left alone.
    pub failures: Vec<(String, Error)>,
}

impl PrunePlan {
    /// Finds out what of `targets` no rule chooses, after `report` has said what was copied. Changes nothing.
    ///
    /// The tags of each target are listed. If there are others than those of the rules, the target's manifests are read, to
    /// find out what stays with its other tags.
    ///
    /// Dropping the future has no effect.
    pub async fn make(targets: &[Target], report: &Report) -> Self {
        let failed: HashSet<&str> = report
            .images
            .iter()
            .filter(|image| matches!(image.outcome, Outcome::Failed(_)))
            .map(|image| image.image.destination.name.as_str())
            .collect();
        let mut plan = Self::default();
        let (whole, partial): (Vec<_>, Vec<_>) = targets
            .iter()
            .partition(|target| target.is_complete && !failed.contains(target.place.name.as_str()));
        let skipped = partial.iter().map(|target| target.place.name.clone());
        plan.skipped = skipped.collect();
        let whole = whole.into_iter().map(|target| {
            let kept = Kept::of(target, targets, report);
            async move { (target, look_at(target, kept).await) }
        });
        let mut looked_at = stream::iter(whole).buffered(CONCURRENCY);
        while let Some((target, found)) = looked_at.next().await {
            match found {
                Ok(None) => {}
                Ok(Some(found)) => plan.repositories.push((target.place.clone(), found)),
                Err(error) => plan.failures.push((target.place.name.clone(), error)),
            }
        }
        plan
    }

    /// Returns how many tags are deleted.
    #[must_use]
    pub fn tag_count(&self) -> usize {
        let plans = self.repositories.iter();
        plans.map(|(_, plan)| plan.tags().len()).sum()
    }

    /// Deletes it, one repository after the other, and returns for each what was deleted.
    ///
    /// If the future is dropped, what was deleted stays deleted, and a new plan continues.
    pub async fn carry_out(&self) -> Vec<(Place, DeletionOutcome)> {
        let mut outcomes = Vec::with_capacity(self.repositories.len());
        for (place, plan) in &self.repositories {
            let outcome = plan.carry_out(&*place.repository).await;
            outcomes.push((place.clone(), outcome));
        }
        outcomes
    }
}

/// What stays in a target.
struct Kept {
    tags: BTreeSet<Tag>,
    manifests: Vec<Digest>,
}

impl Kept {
    fn of(target: &Target, targets: &[Target], report: &Report) -> Self {
        let mut tags = target.tags.clone();
        let key = target.place.key();
        // Two names can mean the same host or directory, so two targets can be one repository.
        let others = targets.iter().filter(|other| other.place.key() != key);
        let others = others.filter(|other| last_component(other) == last_component(target));
        tags.extend(others.flat_map(|other| other.tags.iter().cloned()));
        let mut manifests = target.digests.clone();
        for image in &report.images {
            if image.image.destination.key() == key {
                // With some of its platforms, an image has another digest than in the source.
                manifests.extend(image.root.as_ref().map(|root| *root.digest()));
            }
            // What a rule reads is not deleted either.
            if image.image.source.key() == key {
                match &image.image.reference {
                    TagOrDigest::Tag(tag) => {
                        tags.insert(tag.clone());
                    }
                    TagOrDigest::Digest(digest) => manifests.push(*digest),
                }
            }
        }
        Self { tags, manifests }
    }
}

/// Returns the last component of the name of a target, which all spellings of its location share.
fn last_component(target: &Target) -> Option<&str> {
    target.place.repository.name().as_str().rsplit('/').next()
}

/// Returns what is deleted of a target; `None` for nothing.
async fn look_at(target: &Target, kept: Kept) -> Result<Option<retention::Plan>> {
    let repository = &*target.place.repository;
    let listed = tranship::tags(repository).await;
    let listed = listed.during("list tags of", &target.place.name)?;
    let filter = TagFilter::default().without_digest_tags();
    let is_unnamed = |tag| filter.matches(tag) && !kept.tags.contains(tag);
    if !listed.iter().any(is_unnamed) {
        return Ok(None);
    }
    let selection = Selection::default()
        .with_kept_tags(kept.tags)
        .with_kept_manifests(kept.manifests)
        .with_kept_referrers(true);
    let plan = retention::plan(repository, &selection).await;
    let plan = plan.during("prune", &target.place.name)?;
    Ok((!plan.tags().is_empty()).then_some(plan))
}
