//! How a suite runs its trials, and what it makes of what goes wrong around them.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tranship_conformance::{Fixture, Gap, Outcome, Scenario, Suite, scenario, scenarios};
use tranship_memory::{MemoryOptions, MemoryRegistry, MemoryRepository};

const PASSES: &str = "tags::a_moved_tag_keeps_the_old_manifest";
/// It takes more memory than the registry here has.
const FAILS: &str = "blobs::a_large_blob_is_not_gathered_in_memory";

fn named(name: &str) -> &'static Scenario {
    scenario(name).expect("a scenario")
}

fn registry() -> Fixture {
    let options = MemoryOptions::default().with_quota(16 * 1024 * 1024);
    Fixture::registry(Arc::new(MemoryRegistry::with_options(options)))
}

fn memory() -> Suite {
    Suite::new("memory", || async { Ok(registry()) })
}

#[track_caller]
fn fails_with(outcome: Outcome, message: &str) {
    match outcome {
        Outcome::Failed(failure) => assert!(failure.message().contains(message), "{failure}"),
        outcome => panic!("{outcome:?}"),
    }
}

#[track_caller]
fn is_ignored_with(outcome: Outcome, reason: &str) {
    match outcome {
        Outcome::Ignored(actual) => assert!(actual.contains(reason), "{actual}"),
        outcome => panic!("{outcome:?}"),
    }
}

#[test]
fn a_right_backend_passes() {
    assert!(matches!(
        memory().run_scenario(named(PASSES)),
        Outcome::Passed
    ));
}

#[test]
fn a_failure_says_what_was_found_and_where() {
    let Outcome::Failed(failure) = memory().run_scenario(named(FAILS)) else {
        panic!("the scenario passed");
    };
    let text = failure.to_string();
    assert!(text.contains("pushing 64 MiB"), "{text}");
    assert!(text.contains("scenarios/blob_sources.rs:"), "{text}");
}

#[test]
fn a_declared_gap_is_ignored_with_its_reason() {
    let suite = memory().with_gap(Gap::new(FAILS, "it has too little memory"));
    is_ignored_with(
        suite.run_scenario(named(FAILS)),
        "gap: it has too little memory",
    );
}

#[test]
fn a_gap_at_times_may_pass() {
    let gap = |scenario| Gap::new(scenario, "two at once").at_times();
    let suite = memory().with_gap(gap(PASSES)).with_gap(gap(FAILS));
    let outcome = suite.run_scenario(named(PASSES));
    assert!(matches!(outcome, Outcome::Passed), "{outcome:?}");
    is_ignored_with(suite.run_scenario(named(FAILS)), "gap: two at once");
}

#[test]
fn a_gap_that_is_closed_fails() {
    let suite = memory().with_gap(Gap::new(PASSES, "not done yet"));
    fails_with(suite.run_scenario(named(PASSES)), "not done yet");
}

#[test]
fn a_factory_that_fails_fails_the_trial() {
    let suite = Suite::new("broken", || async { Err("no disk".into()) });
    fails_with(suite.run_scenario(named(PASSES)), "no disk");
}

#[test]
fn a_panic_fails_the_trial() {
    // Without the panic hook, whose report would look like a failure of this test.
    let suite = Suite::new("panicking", || async {
        std::panic::resume_unwind(Box::new("out of tea"))
    });
    fails_with(suite.run_scenario(named(PASSES)), "panics: out of tea");
}

#[test]
fn a_trial_that_hangs_fails() {
    let suite = Suite::new("hanging", pending).with_time_limit(Duration::from_millis(20));
    fails_with(suite.run_scenario(named(PASSES)), "hangs");
}

#[test]
fn a_trial_that_blocks_its_thread_fails() {
    let suite = Suite::new("blocking", || async {
        loop {
            std::thread::park();
        }
    });
    let suite = suite.with_time_limit(Duration::from_millis(20));
    fails_with(suite.run_scenario(named(PASSES)), "hangs");
}

#[test]
fn what_is_left_behind_fails_the_trial() {
    let suite = Suite::new("leaking", || async {
        Ok(registry().with_inspection(|| Err("a temporary file".into())))
    });
    fails_with(suite.run_scenario(named(PASSES)), "a temporary file");
}

struct SetWhenDropped(Arc<AtomicBool>);

impl Drop for SetWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_guard_outlives_the_inspection() {
    let dropped = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&dropped);
    let suite = Suite::new("guarded", move || {
        let (guard, seen) = (SetWhenDropped(Arc::clone(&seen)), Arc::clone(&seen));
        async move {
            let inspection = move || match seen.load(Ordering::SeqCst) {
                true => Err("the guard is gone".into()),
                false => Ok(()),
            };
            Ok(registry().with_inspection(inspection).with_guard(guard))
        }
    });
    let outcome = suite.run_scenario(named(PASSES));
    assert!(matches!(outcome, Outcome::Passed), "{outcome:?}");
    assert!(dropped.load(Ordering::SeqCst));
}

#[test]
fn what_needs_several_repositories_is_ignored_on_one() {
    let suite = Suite::new("single", || async {
        Ok(Fixture::repository(Arc::new(MemoryRepository::new())))
    });
    let isolation = named("names::repositories_are_apart");
    is_ignored_with(suite.run_scenario(isolation), "stands alone");
    assert!(matches!(suite.run_scenario(named(PASSES)), Outcome::Passed));
}

#[tokio::test]
async fn one_registry_serves_many_trials() {
    let fixture = registry();
    for name in [PASSES, PASSES, "catalog::repositories_are_in_ascii_order"] {
        let outcome = named(name).run(&fixture).await;
        assert!(matches!(outcome, Outcome::Passed), "{name}: {outcome:?}");
    }
}

#[test]
fn every_scenario_has_a_name_of_its_own_and_says_what_it_is_about() {
    let names: BTreeSet<String> = scenarios().map(ToString::to_string).collect();
    assert_eq!(names.len(), scenarios().count());
    for scenario in scenarios() {
        let about = scenario.about();
        assert!(
            about.ends_with('.') && about.len() > 20,
            "{scenario}: {about}"
        );
        assert!(scenario.name().contains('_'), "{scenario}");
    }
}
