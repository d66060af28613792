//! A scenario: a name, the abilities that it needs, and its steps.

use std::fmt;

use futures_util::future::BoxFuture;
use tranship::{Capabilities, Support};

use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::fixture::{Fixture, Store};

/// A behaviour of every backend, as steps that can be run against one.
pub struct Scenario {
    group: &'static str,
    name: &'static str,
    about: &'static str,
    needs: &'static [Need],
    lacks: Option<Need>,
    steps: Steps,
}

type Steps = for<'a> fn(&'a Context) -> BoxFuture<'a, Verdict>;

/// An ability that a backend must have for a scenario to apply to it.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Need {
    /// [`Capabilities::push`].
    Push,
    /// [`Capabilities::mount`].
    Mount,
    /// [`Capabilities::uploads`].
    Uploads,
    /// [`Capabilities::referrers`].
    Referrers,
    /// [`Capabilities::delete_blobs`].
    DeleteBlobs,
    /// [`Capabilities::delete_manifests`].
    DeleteManifests,
    /// [`Capabilities::untag`].
    Untag,
    /// [`Capabilities::catalog`].
    Catalog,
    /// [`Capabilities::sha384`].
    Sha384,
    /// [`Capabilities::sha512`].
    Sha512,
    /// Several repositories: a [`Fixture::registry`].
    Registry,
    /// A second handle on the same store, such as [`Fixture::with_peer_registry`].
    Peer,
    /// [`Repository::batch`](tranship::Repository::batch). Whether a repository has batches is checked when the scenario
    /// is run.
    Batch,
}

impl Need {
    fn support(self, capabilities: &Capabilities, fixture: &Fixture) -> Support {
        match self {
            Self::Push => capabilities.push,
            Self::Mount => capabilities.mount,
            Self::Uploads => capabilities.uploads,
            Self::Referrers => capabilities.referrers,
            Self::DeleteBlobs => capabilities.delete_blobs,
            Self::DeleteManifests => capabilities.delete_manifests,
            Self::Untag => capabilities.untag,
            Self::Catalog => capabilities.catalog,
            Self::Sha384 => capabilities.sha384,
            Self::Sha512 => capabilities.sha512,
            Self::Registry => match fixture.store {
                Store::Registry(_) => Support::Yes,
                Store::Repository(_) => Support::No("a repository that stands alone"),
            },
            Self::Peer => match fixture.peer {
                Some(_) => Support::Yes,
                None => Support::No("no second handle on the same store"),
            },
            Self::Batch => Support::Yes,
        }
    }
}

/// How a scenario ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The backend behaves as it should.
    Passed,
    /// The scenario does not apply to the backend, for the reason given.
    Ignored(String),
    /// The backend does not behave as it should.
    Failed(Failure),
}

impl Scenario {
    pub(crate) const fn new(
        group: &'static str,
        name: &'static str,
        about: &'static str,
        needs: &'static [Need],
        steps: Steps,
    ) -> Self {
        Self {
            group,
            name,
            about,
            needs,
            lacks: None,
            steps,
        }
    }

    /// For backends that have all of the needs except `lacks`.
    pub(crate) const fn for_lack_of(mut self, lacks: Need) -> Self {
        self.lacks = Some(lacks);
        self
    }

    /// The group, such as `tags`: the second part of a trial's name.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.group
    }

    /// The sentence, such as `a_moved_tag_keeps_the_old_manifest`: the last part of a trial's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What a backend must do to pass, in one line.
    #[must_use]
    pub fn about(&self) -> &'static str {
        self.about
    }

    /// What a backend must have for the scenario to apply.
    #[must_use]
    pub fn needs(&self) -> &'static [Need] {
        self.needs
    }

    /// What a backend must *not* have: for scenarios about how it then refuses.
    #[must_use]
    pub fn lacks(&self) -> Option<Need> {
        self.lacks
    }

    /// Runs the steps against `fixture`, on the runtime of the caller. This has no timeout for a backend that hangs;
    /// [`Suite::run_scenario`](crate::Suite::run_scenario) has one.
    pub async fn run(&self, fixture: &Fixture) -> Outcome {
        let capabilities = fixture.store.capabilities();
        if let Some(reason) = self.reason_to_ignore(&capabilities, fixture) {
            return Outcome::Ignored(reason);
        }
        let context = Context::new(fixture, capabilities);
        if self.needs.contains(&Need::Batch) {
            match context.repository().await {
                Ok(repository) if repository.batch().is_none() => {
                    return Outcome::Ignored("a repository without batches".to_owned());
                }
                Ok(_) => {}
                Err(failure) => return Outcome::Failed(failure),
            }
        }
        match (self.steps)(&context).await {
            Ok(()) => Outcome::Passed,
            // It was not known whether the backend supports this, and the backend has reported that it does not.
            Err(failure) if failure.is_unsupported() && self.is_guess(&capabilities, fixture) => {
                Outcome::Ignored(failure.message().to_owned())
            }
            Err(failure) => Outcome::Failed(failure),
        }
    }

    fn reason_to_ignore(&self, capabilities: &Capabilities, fixture: &Fixture) -> Option<String> {
        let support = |need: &Need| need.support(capabilities, fixture);
        for need in self.needs {
            if let Support::No(reason) = support(need) {
                return Some(reason.to_owned());
            }
        }
        match (self.lacks, self.lacks.as_ref().map(support)) {
            (Some(need), Some(Support::Yes)) => Some(format!("the backend has {need:?}")),
            (Some(need), Some(Support::Unknown)) => {
                Some(format!("it is not known whether the backend has {need:?}"))
            }
            _ => None,
        }
    }

    fn is_guess(&self, capabilities: &Capabilities, fixture: &Fixture) -> bool {
        let unknown = |need: &Need| need.support(capabilities, fixture) == Support::Unknown;
        self.needs.iter().any(unknown)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.group, self.name)
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario")
            .field("name", &format_args!("{self}"))
            .field("needs", &self.needs)
            .field("lacks", &self.lacks)
            .finish_non_exhaustive()
    }
}

/// The table of a group: what each scenario needs of a backend, and what the backend must do.
macro_rules! scenario_group {
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
pub(crate) use scenario_group;
