//! That the conformance kit can fail: a right backend is given one mistake at a time, and the
//! scenarios that are about it must notice.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use tranship_conformance::{Fixture, Outcome, Scenario, Suite, scenario, scenarios};
use tranship_layout::LayoutRegistry;
use tranship_memory::MemoryRegistry;

mod batches;
mod blobs;
mod claims;
mod defect;
mod expected;
mod manifests;
mod registry;
mod repository;
mod uploads;

use defect::Defect;
use expected::CAUGHT;
use registry::FaultyRegistry;

fn main() -> ExitCode {
    let mut trials = vec![
        Trial::test(
            "a_right_backend_passes_every_scenario",
            a_right_backend_passes,
        ),
        Trial::test(
            "a_right_backend_passes_every_scenario_of_batches",
            a_right_batch_passes,
        ),
        Trial::test(
            "every_scenario_notices_a_defect",
            every_scenario_is_expected,
        ),
        Trial::test("survey", survey).with_ignored_flag(true),
    ];
    trials.extend(claims::trials());
    trials.extend(CAUGHT.iter().map(|(defect, expected)| {
        Trial::test(name_of(*defect), move || is_caught(*defect, expected))
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// `LosesLastByte` as `a_backend_that_loses_last_byte_is_caught`.
fn name_of(defect: Defect) -> String {
    let mut words = String::from("caught::");
    for character in format!("{defect:?}").chars() {
        if character.is_uppercase() && !words.ends_with(':') {
            words.push('_');
        }
        words.extend(character.to_lowercase());
    }
    words
}

/// A suite over a right backend with `defect`.
fn suite(defect: Defect) -> Suite {
    Suite::new(format!("{defect:?}"), move || async move {
        if needs_batches(defect) {
            return over_layouts(defect).await;
        }
        Ok(fixture(FaultyRegistry::new(memory(), defect)))
    })
}

/// The backend in memory has no batches.
fn needs_batches(defect: Defect) -> bool {
    matches!(
        defect,
        Defect::BatchForgetsBetweenViews
            | Defect::BatchWritesThrough
            | Defect::BatchHasNoUseForPushes
            | Defect::CommitsNothing
            | Defect::LosesOneOfTwoBatches
    )
}

async fn over_layouts(defect: Defect) -> Result<Fixture, Box<dyn Error + Send + Sync>> {
    let directory = tempfile::tempdir()?;
    let right = Arc::new(LayoutRegistry::create(directory.path()).await?);
    Ok(fixture(FaultyRegistry::new(right, defect)).with_guard(directory))
}

fn memory() -> Arc<MemoryRegistry> {
    Arc::new(MemoryRegistry::new())
}

fn fixture(registry: FaultyRegistry) -> Fixture {
    let registry = Arc::new(registry);
    Fixture::registry(registry.clone()).with_peer_registry(registry)
}

/// A scenario that should fail need not be waited for.
fn impatient(defect: Defect) -> Suite {
    suite(defect).with_time_limit(Duration::from_secs(2))
}

fn a_right_backend_passes() -> Result<(), Failed> {
    passes(&suite(Defect::None))
}

fn a_right_batch_passes() -> Result<(), Failed> {
    let suite = Suite::new("over layouts", || over_layouts(Defect::None));
    passes_of(&suite, |scenario| scenario.group() == "batches")
}

/// No scenario fails; some may be ignored.
fn passes(suite: &Suite) -> Result<(), Failed> {
    passes_of(suite, |_| true)
}

fn passes_of(suite: &Suite, chosen: impl Fn(&Scenario) -> bool) -> Result<(), Failed> {
    let failures: Vec<String> = scenarios()
        .filter(|scenario| chosen(scenario))
        .filter_map(|scenario| match suite.run_scenario(scenario) {
            Outcome::Failed(failure) => Some(format!("{scenario}: {failure}")),
            _ => None,
        })
        .collect();
    if failures.is_empty() {
        return Ok(());
    }
    Err(failures.join("\n").into())
}

fn every_scenario_is_expected() -> Result<(), Failed> {
    let expected: BTreeSet<&str> = CAUGHT
        .iter()
        .flat_map(|(_, names)| *names)
        .copied()
        .collect();
    let missing: Vec<String> = scenarios()
        .map(ToString::to_string)
        .filter(|name| !expected.contains(name.as_str()))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("nothing shows that these can fail: {missing:#?}").into())
}

fn is_caught(defect: Defect, expected: &[&str]) -> Result<(), Failed> {
    let suite = impatient(defect);
    for name in expected {
        let scenario = scenario(name).ok_or_else(|| format!("there is no scenario {name}"))?;
        match suite.run_scenario(scenario) {
            Outcome::Failed(_) => {}
            outcome => return Err(format!("{name} does not notice: {outcome:?}").into()),
        }
    }
    Ok(())
}

/// Prints which scenarios notice which defect, and which notice none.
fn survey() -> Result<(), Failed> {
    let mut silent: BTreeMap<String, bool> = scenarios()
        .map(|scenario| (scenario.to_string(), true))
        .collect();
    for (defect, _) in CAUGHT {
        let suite = impatient(*defect);
        let caught: Vec<String> = scenarios()
            .filter(|scenario| matches!(suite.run_scenario(scenario), Outcome::Failed(_)))
            .map(ToString::to_string)
            .collect();
        println!("{defect:?}: {}", caught.len());
        for name in caught {
            println!("    {name}");
            silent.insert(name, false);
        }
    }
    let silent: Vec<_> = silent.iter().filter(|(_, silent)| **silent).collect();
    println!("no defect: {}", silent.len());
    for (name, _) in silent {
        println!("    {name}");
    }
    Ok(())
}
