//! The scenarios, one module a group. At the top of each stands a table of what is in it.

mod abandonment;
mod batches;
mod blobs;
mod catalog;
mod concurrency;
mod deletion;
mod manifests;
mod mounts;
mod names;
mod peers;
mod predecessors;
mod ranges;
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

/// The table of a group: what each scenario needs of a backend, and what the backend must do.
macro_rules! scenarios {
    ($group:literal: $($name:ident [$($need:ident)*] $(without $lack:ident)? $about:literal)*) => {
        pub(super) const SCENARIOS: &[$crate::scenario::Scenario] = &[$(
            $crate::scenario::Scenario::new(
                $group,
                stringify!($name),
                $about,
                &[$($crate::scenario::Need::$need),*],
                |context| ::std::boxed::Box::pin($name(context)),
            )$(.for_lack_of($crate::scenario::Need::$lack))?
        ),*];
    };
}
use scenarios;

pub(crate) const GROUPS: &[&[Scenario]] = &[
    blobs::SCENARIOS,
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
    predecessors::SCENARIOS,
    mounts::SCENARIOS,
    uploads::SCENARIOS,
    upload_sessions::SCENARIOS,
    concurrency::SCENARIOS,
    batches::SCENARIOS,
    names::SCENARIOS,
    catalog::SCENARIOS,
    peers::SCENARIOS,
    refusals::SCENARIOS,
];
