//! Running scenarios as tests: one libtest-mimic trial for each scenario and backend.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::num::NonZero;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, FormatSetting, Trial};

use crate::failure::Failure;
use crate::fixture::Fixture;
use crate::scenario::{Outcome, Scenario};
use crate::scenarios::{scenario, scenarios};

/// Long enough for a loaded machine: it is there for what never ends, not for what is slow.
const TIME_LIMIT: Duration = Duration::from_secs(120);

type BoxError = Box<dyn StdError + Send + Sync>;
type Opening = Pin<Box<dyn Future<Output = Result<Fixture, BoxError>>>>;
type Open = Arc<dyn Fn() -> Opening + Send + Sync>;

/// A scenario that a backend does not claim to pass, and why.
///
/// While it fails it is reported as ignored; when it passes, the gap is out of date and the trial
/// fails.
#[derive(Debug, Clone)]
pub struct Gap {
    scenario: String,
    reason: String,
    may_pass: bool,
}

impl Gap {
    /// A gap at `scenario`, such as `tags::a_moved_tag_keeps_the_old_manifest`.
    pub fn new(scenario: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            scenario: scenario.into(),
            reason: reason.into(),
            may_pass: false,
        }
    }

    /// Says that the scenario fails at some times only, by the accidents of timing, so that a pass does
    /// not mean that the gap is closed.
    #[must_use]
    pub fn at_times(mut self) -> Self {
        self.may_pass = true;
        self
    }
}

/// A backend, and how to open it for a trial.
#[derive(Clone)]
#[must_use = "a suite does nothing until it is run"]
pub struct Suite {
    backend: String,
    open: Open,
    gaps: Vec<Gap>,
    groups: Option<Vec<String>>,
    time_limit: Duration,
}

impl Suite {
    /// A suite whose trials are named `backend::group::scenario`. Each trial calls `open` on a tokio
    /// dedicated runtime, and drops the result on the same one.
    pub fn new<F, Opening>(backend: impl Into<String>, open: F) -> Self
    where
        F: Fn() -> Opening + Send + Sync + 'static,
        Opening: Future<Output = Result<Fixture, BoxError>> + 'static,
    {
        Self {
            backend: backend.into(),
            open: Arc::new(move || Box::pin(open())),
            gaps: Vec::new(),
            groups: None,
            time_limit: TIME_LIMIT,
        }
    }

    /// Declares a gap.
    pub fn with_gap(mut self, gap: Gap) -> Self {
        self.gaps.push(gap);
        self
    }

    /// Runs the scenarios of these groups only, such as `tags`. A gap in another group is passed over.
    pub fn with_groups(mut self, groups: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.groups = Some(groups.into_iter().map(Into::into).collect());
        self
    }

    /// Sets after how long a trial counts as hanging; two minutes unless set.
    pub fn with_time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Runs the trials that the command line asks for, as `cargo test` expects of a test binary.
    #[must_use]
    pub fn run(self) -> ExitCode {
        main([self])
    }

    /// Runs one scenario on a fresh fixture. A panic is a failure, and so is not to end in time; a
    /// trial that hangs is left behind on its thread.
    #[must_use]
    pub fn run_scenario(&self, scenario: &'static Scenario) -> Outcome {
        let outcome = self.run_in_time(scenario);
        let name = scenario.to_string();
        match (self.gaps.iter().find(|gap| gap.scenario == name), outcome) {
            (Some(gap), Outcome::Failed(_)) => Outcome::Ignored(format!("gap: {}", gap.reason)),
            (Some(gap), Outcome::Passed) if !gap.may_pass => Outcome::Failed(Failure::new(
                format!("passes, although a gap is declared: {}", gap.reason),
            )),
            (_, outcome) => outcome,
        }
    }

    fn run_in_time(&self, scenario: &'static Scenario) -> Outcome {
        let (sender, receiver) = mpsc::channel();
        let open = Arc::clone(&self.open);
        let spawned = thread::Builder::new()
            .name(format!("{}::{scenario}", self.backend))
            .spawn(move || {
                // The receiver is gone only when the trial has been given up.
                let _ = sender.send(run_on_own_runtime(&open, scenario));
            });
        let runner = match spawned {
            Ok(runner) => runner,
            Err(error) => return failed(format!("no thread for the trial: {error}")),
        };
        match receiver.recv_timeout(self.time_limit) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Timeout) => failed(format!(
                "hangs: there was no end after {:?}",
                self.time_limit
            )),
            Err(RecvTimeoutError::Disconnected) => {
                let panic = runner.join().err();
                let message = panic.as_ref().and_then(|panic| {
                    let text = panic.downcast_ref::<String>().map(String::as_str);
                    text.or_else(|| panic.downcast_ref::<&str>().copied())
                });
                failed(format!(
                    "panics: {}",
                    message.unwrap_or("without a message")
                ))
            }
        }
    }

    fn trials(self, tally: &Arc<Tally>) -> Vec<Trial> {
        let suite = Arc::new(self);
        let gaps = suite
            .gaps
            .iter()
            .filter(|gap| scenario(&gap.scenario).is_none());
        let mistaken = gaps.map(|gap| {
            let message = format!("there is no scenario {}", gap.scenario);
            Trial::test(format!("{}::gaps::{}", suite.backend, gap.scenario), || {
                Err(message.into())
            })
        });
        let unknown = suite.groups.iter().flatten();
        let unknown =
            unknown.filter(|group| scenarios().all(|each| each.group() != group.as_str()));
        let unknown = unknown.map(|group| {
            let message = format!("there is no group {group}");
            Trial::test(format!("{}::groups::{group}", suite.backend), || {
                Err(message.into())
            })
        });
        let chosen = scenarios().filter(|scenario| {
            let groups = suite.groups.as_ref();
            groups.is_none_or(|groups| groups.iter().any(|group| group == scenario.group()))
        });
        let trials = chosen.map(|scenario| {
            let (suite, tally) = (Arc::clone(&suite), Arc::clone(tally));
            let name = format!("{}::{scenario}", suite.backend);
            Trial::ignorable_test(name, move || {
                let outcome = suite.run_scenario(scenario);
                tally.count(&suite.backend, &outcome);
                match outcome {
                    Outcome::Passed => Ok(Completion::Completed),
                    Outcome::Ignored(reason) => Ok(Completion::ignored_with(reason)),
                    Outcome::Failed(failure) => {
                        Err(format!("{failure}\n  {scenario}: {}", scenario.about()).into())
                    }
                }
            })
        });
        mistaken.chain(unknown).chain(trials).collect()
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite")
            .field("backend", &self.backend)
            .field("gaps", &self.gaps)
            .field("groups", &self.groups)
            .field("time_limit", &self.time_limit)
            .finish_non_exhaustive()
    }
}

/// Runs several suites as one test binary: the `main` of a test target with `harness = false`.
///
/// Twice as many trials run at a time as there are cores, unless `--test-threads` says otherwise.
/// After libtest's own summary stands one for each backend, with the reasons for what was ignored.
pub fn main(suites: impl IntoIterator<Item = Suite>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Trials wait for disks and servers as long as they compute.
    let cores = thread::available_parallelism().map_or(2, NonZero::get);
    arguments.test_threads.get_or_insert(2 * cores);
    let tally = Arc::new(Tally::default());
    let trials = suites
        .into_iter()
        .flat_map(|suite| suite.trials(&tally))
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list && arguments.format != Some(FormatSetting::Json) {
        print!("{tally}");
    }
    conclusion.exit_code()
}

fn run_on_own_runtime(open: &Open, scenario: &Scenario) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failed(format!("no runtime for the trial: {error}")),
    };
    let run = async {
        let fixture = match open().await {
            Ok(fixture) => fixture,
            Err(error) => return Err(failed(format!("the factory failed: {error}"))),
        };
        let outcome = scenario.run(&fixture).await;
        Ok((outcome, fixture.close()))
    };
    let (outcome, closed) = match runtime.block_on(run) {
        Ok(ended) => ended,
        Err(outcome) => return outcome,
    };
    // Waits for blocking work, so that nothing changes any more what the inspection sees.
    drop(runtime);
    match outcome {
        Outcome::Passed => match closed.inspect() {
            Ok(()) => Outcome::Passed,
            Err(message) => failed(format!("leaves something behind: {message}")),
        },
        outcome => outcome,
    }
}

fn failed(message: String) -> Outcome {
    Outcome::Failed(Failure::new(message))
}

/// What became of the trials, backend by backend.
#[derive(Default)]
struct Tally(Mutex<BTreeMap<String, Counts>>);

#[derive(Default)]
struct Counts {
    passed: usize,
    failed: usize,
    ignored: BTreeMap<String, usize>,
}

impl Tally {
    fn count(&self, backend: &str, outcome: &Outcome) {
        let mut backends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = backends.entry(backend.to_owned()).or_default();
        match outcome {
            Outcome::Passed => counts.passed += 1,
            Outcome::Failed(_) => counts.failed += 1,
            Outcome::Ignored(reason) => *counts.ignored.entry(reason.clone()).or_default() += 1,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let backends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (backend, counts) in &*backends {
            let ignored: usize = counts.ignored.values().sum();
            let (passed, failed) = (counts.passed, counts.failed);
            writeln!(
                f,
                "{backend}: {passed} passed, {failed} failed, {ignored} ignored"
            )?;
            for (reason, number) in &counts.ignored {
                let reason = reason.lines().next().unwrap_or_default();
                writeln!(f, "  {number} ignored: {reason}")?;
            }
        }
        Ok(())
    }
}
