//! Copies what a plan found to be missing.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use tranship::{
    CopyHooks, CopyReport, Descriptor, Digest, Result, ResultExt as _, SubsetForm, Tag, TagOrDigest,
};

use super::image::Image;
use super::observer::Observer;
use super::options::JobOptions;
use super::outages::Outages;
use super::plan::{Plan, State};
use super::report::{ImageReport, Outcome, Report};
use super::shared_blobs::SharedBlobs;
use super::sharing_hooks::SharingHooks;
use crate::rules::Platforms;

/// The images of one manifest that are copied together: its tags in one repository.
struct Group<'p> {
    /// Positions in the plan.
    members: Vec<usize>,
    images: Vec<&'p Image>,
    found: &'p Descriptor,
    root: &'p Descriptor,
    tags: Vec<Tag>,
    /// Whether the destination has the manifest under all of its tags.
    is_check: bool,
}

impl Plan {
    /// Copies the images that are not up to date, and reports what happened to each. An image that fails does not
    /// stop the others. After three images in a row for which a registry could not be reached, its other images are
    /// not tried.
    ///
    /// Blobs that several images have are sent once to each registry; the other repositories mount them. A plan that is
    /// carried out again copies only what is missing.
    ///
    /// With [`JobOptions::dry_run`], manifests are read and nothing is changed; the report says what would be copied.
    ///
    /// Dropping the future ends all transfers. Whole pieces of content that have arrived stay, and each tag names
    /// something complete.
    pub async fn carry_out(&self, options: &JobOptions) -> Report {
        let mut reports: Vec<Option<ImageReport>> = Vec::new();
        reports.resize_with(self.images.len(), || None);
        for (at, planned) in self.images.iter().enumerate() {
            let image = planned.image.clone();
            let report = match &planned.state {
                State::UpToDate { root } => {
                    let mut report = ImageReport::new(image, Outcome::UpToDate);
                    report.root = Some(root.clone());
                    report
                }
                State::Failed(error) => ImageReport::new(image, Outcome::Failed(Arc::clone(error))),
                State::Copy { .. } | State::Check { .. } => continue,
            };
            tell(options, |observer| observer.finished(&report));
            reports[at] = Some(report);
        }
        let shared = Arc::new(SharedBlobs::default());
        let outages = Outages::default();
        let groups = self.groups();
        let mut done = stream::iter(groups.iter().enumerate())
            .map(|(number, group)| self.copy(number, group, options, &shared, &outages))
            .buffer_unordered(options.concurrency.get());
        while let Some(finished) = done.next().await {
            for (at, report) in finished {
                tell(options, |observer| observer.finished(&report));
                reports[at] = Some(report);
            }
        }
        Report {
            images: reports.into_iter().flatten().collect(),
        }
    }

    /// Groups the images that are copied, in the order of the plan.
    fn groups(&self) -> Vec<Group<'_>> {
        type Key<'p> = (&'p str, &'p str, Digest, usize);
        let mut groups: Vec<Group<'_>> = Vec::new();
        let mut known: HashMap<Key<'_>, usize> = HashMap::new();
        for (at, planned) in self.images.iter().enumerate() {
            let (found, root, is_check) = match &planned.state {
                State::Copy { found, root, .. } => (found, root, false),
                State::Check { found, root } => (found, root, true),
                State::UpToDate { .. } | State::Failed(_) => continue,
            };
            let image = &planned.image;
            let key = (
                image.source.name.as_str(),
                image.destination.name.as_str(),
                *found.digest(),
                Arc::as_ptr(&image.options).addr(),
            );
            let group = *known.entry(key).or_insert_with(|| {
                groups.push(Group {
                    members: Vec::new(),
                    images: Vec::new(),
                    found,
                    root,
                    tags: Vec::new(),
                    is_check: true,
                });
                groups.len() - 1
            });
            let group = &mut groups[group];
            group.members.push(at);
            group.images.push(image);
            if !is_check {
                group.is_check = false;
                group.tags.extend(image.tag.clone());
            }
        }
        groups
    }

    async fn copy(
        &self,
        number: usize,
        group: &Group<'_>,
        options: &JobOptions,
        shared: &Arc<SharedBlobs>,
        outages: &Outages,
    ) -> Vec<(usize, ImageReport)> {
        let image = group.images[0];
        tell(options, |observer| observer.started(&group.images));
        let copied = copy_group(number, group, options, shared, outages).await;
        let copied = copied.map_err(Arc::new);
        let mut reports = Vec::with_capacity(group.members.len());
        for (position, at) in group.members.iter().enumerate() {
            let planned = &self.images[*at];
            let outcome = match &copied {
                Ok(_) if matches!(planned.state, State::Copy { .. }) => Outcome::Copied,
                Ok(report) if position == 0 && has_changed(report) => Outcome::Copied,
                Ok(_) => Outcome::UpToDate,
                Err(error) => Outcome::Failed(Arc::clone(error)),
            };
            let mut report = ImageReport::new(planned.image.clone(), outcome);
            if let State::Copy { replaced, .. } = &planned.state {
                report.replaced = *replaced;
            }
            if let Ok(copied) = &copied {
                report.root = Some(group.root.clone());
                if position == 0 {
                    report.count(copied);
                }
            }
            reports.push((*at, report));
        }
        let source = &*image.source.repository;
        let destination = &*image.destination.repository;
        let error = copied.as_ref().err();
        let failed_at = error.and_then(|error| error.copy_side());
        let of = |side| {
            error
                .filter(|_| failed_at == Some(side))
                .map(|error| &**error)
        };
        outages.note(source, of(tranship::CopySide::Source));
        outages.note(destination, of(tranship::CopySide::Destination));
        reports
    }
}

async fn copy_group(
    number: usize,
    group: &Group<'_>,
    options: &JobOptions,
    shared: &Arc<SharedBlobs>,
    outages: &Outages,
) -> Result<CopyReport> {
    let image = group.images[0];
    let source = &*image.source.repository;
    let destination = &*image.destination.repository;
    outages.check(source)?;
    outages.check(destination)?;
    let observer = options.observer.clone();
    let hooks = SharingHooks::new(shared, number, destination, options.dry_run, observer);
    let hooks = Arc::new(hooks);
    let copy = options.copy_options();
    let copy = copy.with_hooks(Arc::clone(&hooks) as Arc<dyn CopyHooks>);
    let copy = image.options.extended(copy);
    let has_referrers = image.options.referrers.is_some();
    let reference = TagOrDigest::Digest(*group.found.digest());
    // The functions that copy a graph do not choose platforms.
    let is_part = matches!(&image.options.platforms, Platforms::Subset(subset) if subset.form == SubsetForm::Sparse);
    let is_same = group.root.digest() == group.found.digest();
    let copied = if group.is_check && is_same && !is_part {
        // The root is not read from the source, which may count that.
        if has_referrers {
            tranship::extended_copy_graph(source, group.root, destination, &copy).await
        } else {
            tranship::copy_graph(source, group.root, destination, &copy.copy).await
        }
    } else if has_referrers {
        tranship::extended_copy(source, &reference, destination, &group.tags, &copy).await
    } else {
        tranship::copy(source, &reference, destination, &group.tags, &copy.copy).await
    };
    let copied = copied.during("copy", image.source_name())?;
    hooks.succeeded();
    Ok(copied)
}

/// Whether a copy has changed the destination.
fn has_changed(report: &CopyReport) -> bool {
    use tranship::CopyAction::{Copied, Mounted};
    report.count(Copied) + report.count(Mounted) > 0
}

fn tell(options: &JobOptions, say: impl FnOnce(&dyn Observer)) {
    if let Some(observer) = &options.observer {
        say(&**observer);
    }
}
