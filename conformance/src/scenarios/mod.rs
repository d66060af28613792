//! The scenarios, mostly one module for each group. A table at the top of each lists its scenarios.

mod abandonment;
mod batches;
mod blob_sources;
mod blobs;
mod catalog;
mod concurrency;
mod deletion;
mod manifests;
mod mounts;
mod names;
mod peers;
mod predecessors;
mod races;
mod ranges;
mod referrer_types;
mod referrers;
mod refusals;
mod routing;
mod tag_listing;
mod tags;
mod upload_sessions;
mod uploads;
mod verification;
mod visibility;

use crate::scenario::Scenario;

const GROUPS: &[&[Scenario]] = &[
    blobs::SCENARIOS,
    blob_sources::SCENARIOS,
    ranges::SCENARIOS,
    verification::SCENARIOS,
    visibility::SCENARIOS,
    abandonment::SCENARIOS,
    manifests::SCENARIOS,
    routing::SCENARIOS,
    tags::SCENARIOS,
    tag_listing::SCENARIOS,
    deletion::SCENARIOS,
    referrers::SCENARIOS,
    referrer_types::SCENARIOS,
    predecessors::SCENARIOS,
    mounts::SCENARIOS,
    uploads::SCENARIOS,
    upload_sessions::SCENARIOS,
    concurrency::SCENARIOS,
    races::SCENARIOS,
    batches::SCENARIOS,
    names::SCENARIOS,
    catalog::SCENARIOS,
    peers::SCENARIOS,
    refusals::SCENARIOS,
];

/// Returns every scenario, group by group.
pub fn scenarios() -> impl Iterator<Item = &'static Scenario> {
    GROUPS.iter().copied().flatten()
}

/// Returns the scenario `name`, such as `tags::a_moved_tag_keeps_the_old_manifest`.
#[must_use]
pub fn scenario(name: &str) -> Option<&'static Scenario> {
    let (group, name) = name.split_once("::")?;
    scenarios().find(|scenario| scenario.group() == group && scenario.name() == name)
}
