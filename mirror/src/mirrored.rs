//! A whole run: from rules to a report.

use tranship::Result;

use crate::jobs::{JobOptions, Plan, Report};
use crate::rules::Rule;
use crate::select::{self, Failure, Opener, Target, Unmatched};

/// The result of a run.
#[non_exhaustive]
#[derive(Debug, Default)]
pub struct Mirrored {
    /// What happened to each image.
    pub report: Report,
    /// Repositories, and patterns of them, that could not be listed.
    pub failures: Vec<Failure>,
    /// Repositories, and patterns of them, in which nothing is chosen.
    pub empty: Vec<Unmatched>,
    /// The repositories that images are copied to, for [`PrunePlan::make`](crate::prune::PrunePlan::make).
    pub targets: Vec<Target>,
}

impl Mirrored {
    /// Returns whether everything that the rules choose is at its destination.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty() && self.report.failures().next().is_none()
    }
}

/// Lists what `rules` choose, compares it with the destinations, and copies what differs. What fails is part of the result,
/// and does not stop the rest.
///
/// [`choose`](select::choose), [`assign`](select::assign), [`Plan::make`] and [`Plan::carry_out`] are the steps.
///
/// Dropping the future ends all transfers. Whole pieces of content that have arrived stay, and each tag names something
/// complete.
///
/// # Errors
/// As [`choose`](select::choose), [`assign`](select::assign) and [`Plan::make`]: mistakes in the rules, before anything is
/// copied.
pub async fn mirror(rules: &[Rule], opener: &dyn Opener, options: &JobOptions) -> Result<Mirrored> {
    let choice = select::choose(rules, opener).await?;
    let selection = select::assign(rules, &choice, opener).await?;
    let plan = Plan::make(selection.images, options).await?;
    Ok(Mirrored {
        report: plan.carry_out(options).await,
        failures: choice.failures,
        empty: choice.empty,
        targets: selection.targets,
    })
}
