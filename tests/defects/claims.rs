//! Backends that cannot do everything, and say so or do not know it.

use libtest_mimic::{Failed, Trial};
use tranship::Capabilities;
use tranship_conformance::{Outcome, Suite, scenario};

use crate::defect::Defect;
use crate::registry::{FaultyRegistry, pushes_only, read_only};
use crate::{fixture, memory, passes};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("a_backend_that_says_what_it_lacks_passes", || {
            passes(&backend(pushes_only(), pushes_only()))
        }),
        Trial::test("a_backend_that_says_it_is_read_only_passes", || {
            passes(&backend(read_only(), read_only()))
        }),
        Trial::test("a_backend_of_which_nothing_is_known_passes", || {
            passes(&backend(Capabilities::unknown(), Capabilities::all()))
        }),
        Trial::test(
            "a_backend_that_is_found_out_to_lack_something_passes",
            || passes(&backend(Capabilities::unknown(), pushes_only())),
        ),
        Trial::test("a_disclaimed_ability_is_the_reason_to_ignore", || {
            ignored(&backend(pushes_only(), pushes_only()), "not here")
        }),
        Trial::test("a_refusal_is_the_reason_to_ignore_what_was_unknown", || {
            ignored(
                &backend(Capabilities::unknown(), pushes_only()),
                "unsupported",
            )
        }),
        Trial::test("what_is_unknown_and_works_is_not_ignored", || {
            let suite = backend(Capabilities::unknown(), Capabilities::all());
            match suite.run_scenario(untagging()?) {
                Outcome::Passed => Ok(()),
                outcome => Err(format!("{outcome:?}").into()),
            }
        }),
    ]
}

fn backend(claimed: Capabilities, able: Capabilities) -> Suite {
    Suite::new("limited", move || async move {
        let registry = FaultyRegistry::new(memory(), Defect::None);
        Ok(fixture(registry.claiming(claimed).able_to(able)))
    })
}

fn untagging() -> Result<&'static tranship_conformance::Scenario, Failed> {
    scenario("tags::a_removed_tag_names_nothing").ok_or_else(|| "no such scenario".into())
}

fn ignored(suite: &Suite, why: &str) -> Result<(), Failed> {
    match suite.run_scenario(untagging()?) {
        Outcome::Ignored(reason) if reason.contains(why) => Ok(()),
        outcome => Err(format!("{outcome:?}").into()),
    }
}
