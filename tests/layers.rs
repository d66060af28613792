//! Every layer passes the conformance suite with the capabilities that it declares: alone around a registry and a
//! repository, and around every other layer.

use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "observe")]
use tranship::layers::Observe;
use tranship::layers::{
    Cache, CacheOptions, CircuitBreaker, ImmutableTags, Inject, InjectOptions, Limit, LimitOptions,
    MapErrors, Monitor, NoDeletes, Notify, PerRepository, Prefix, ReadOnly, RepositoryQuota,
    RepositoryQuotas, Tiers, Unify,
};
use tranship::{Registry, Repository, RepositoryName};
use tranship_conformance::{Fixture, Suite};
use tranship_layout::Layout;
use tranship_memory::{MemoryRegistry, MemoryRepository};

/// A layer, as a name and what it makes of a registry and of a repository, unless it takes only one of them.
struct Layer {
    name: &'static str,
    registry: Option<Around<dyn Registry>>,
    repository: Option<Around<dyn Repository>>,
}

type Around<T> = fn(Arc<T>) -> Arc<T>;

const LAYERS: &[Layer] = &[
    Layer {
        name: "read-only",
        registry: Some(|inner| Arc::new(ReadOnly::new(inner))),
        repository: Some(|inner| Arc::new(ReadOnly::new(inner))),
    },
    Layer {
        name: "no-deletes",
        registry: Some(|inner| Arc::new(NoDeletes::new(inner))),
        repository: Some(|inner| Arc::new(NoDeletes::new(inner))),
    },
    Layer {
        name: "prefix",
        registry: Some(|inner| Arc::new(Prefix::new(inner, name("team")))),
        repository: None,
    },
    Layer {
        name: "immutable-tags",
        registry: Some(|inner| Arc::new(ImmutableTags::new(inner, ["release-*"]))),
        repository: Some(|inner| Arc::new(ImmutableTags::new(inner, ["release-*"]))),
    },
    Layer {
        name: "unify",
        // The prefix leads to one of two members. Both are one registry, so that they can do the same.
        registry: Some(|inner| {
            let members = [(name("one"), inner.clone()), (name("other"), inner)];
            let all = Unify::new(members).expect("different names");
            Arc::new(Prefix::new(all, name("one")))
        }),
        repository: None,
    },
    Layer {
        name: "tiers",
        registry: Some(|inner| Arc::new(Tiers::new(inner, MemoryRegistry::new()))),
        repository: Some(|inner| Arc::new(Tiers::new(inner, MemoryRepository::new()))),
    },
    Layer {
        name: "cache",
        registry: Some(|inner| Arc::new(cache(inner, MemoryRegistry::new()))),
        repository: Some(|inner| Arc::new(cache(inner, MemoryRepository::new()))),
    },
    Layer {
        name: "inject",
        registry: Some(|inner| Arc::new(Inject::new(inner, InjectOptions::default()))),
        repository: Some(|inner| Arc::new(Inject::new(inner, InjectOptions::default()))),
    },
    Layer {
        name: "limit",
        registry: Some(|inner| Arc::new(Limit::new(inner, limits()))),
        repository: Some(|inner| Arc::new(Limit::new(inner, limits()))),
    },
    Layer {
        name: "monitor",
        registry: Some(|inner| Arc::new(Monitor::new(inner, Arc::default()))),
        repository: Some(|inner| Arc::new(Monitor::new(inner, Arc::default()))),
    },
    Layer {
        name: "circuit breaker",
        registry: Some(|inner| Arc::new(CircuitBreaker::new(inner, Default::default()))),
        repository: Some(|inner| Arc::new(CircuitBreaker::new(inner, Default::default()))),
    },
    Layer {
        name: "map errors",
        registry: Some(|inner| Arc::new(MapErrors::new(inner, |_, error| error))),
        repository: Some(|inner| Arc::new(MapErrors::new(inner, |_, error| error))),
    },
    Layer {
        name: "quotas",
        registry: Some(|inner| {
            let around = |_: &RepositoryName, repository| quotas().around(repository);
            Arc::new(PerRepository::new(inner, around))
        }),
        repository: Some(|inner| quotas().around(inner)),
    },
    Layer {
        name: "notify",
        registry: Some(|inner| Arc::new(Notify::new(inner, |_| {}))),
        repository: Some(|inner| Arc::new(Notify::new(inner, |_| {}))),
    },
    #[cfg(feature = "observe")]
    Layer {
        name: "observe",
        registry: Some(|inner| Arc::new(Observe::new(inner))),
        repository: Some(|inner| Arc::new(Observe::new(inner))),
    },
];

/// Limits that every scenario is possible with: some read two blobs in turns, or push while another push waits. A
/// scenario pushes a manifest that claims to have 2^62 bytes.
fn limits() -> LimitOptions {
    LimitOptions::default()
        .with_concurrency(NonZero::new(2).expect("a number"))
        .with_rate(NonZero::<u32>::MAX)
        .with_quota(1 << 63)
}

/// A quota that every scenario is possible with.
fn quotas() -> RepositoryQuotas {
    RepositoryQuotas::new(vec![RepositoryQuota::new("all", 1 << 63, |_| true)])
}

/// Asks for tags each time, since the suite moves them behind the cache.
fn cache<U, S>(upstream: U, store: S) -> Cache<U, S> {
    Cache::new(
        upstream,
        store,
        CacheOptions::default().with_tag_ttl(Duration::ZERO),
    )
}

fn name(text: &str) -> RepositoryName {
    text.parse().expect("a name")
}

fn main() -> ExitCode {
    let mut suites = Vec::new();
    for layer in LAYERS {
        if let Some(wrap) = layer.registry {
            suites.push(registry(layer.name.to_owned(), wrap));
        }
        if let Some(wrap) = layer.repository {
            let name = format!("repository-{}", layer.name);
            suites.push(Suite::new(name, move || async move {
                Ok(Fixture::repository(wrap(Arc::new(MemoryRepository::new()))))
            }));
            suites.push(batches(layer.name, wrap));
        }
    }
    suites.extend(pairs());
    tranship_conformance::main(suites)
}

/// What layers do to each other shows without large content, races and reads that break off.
const GROUPS: [&str; 13] = [
    "blobs",
    "catalog",
    "deletion",
    "manifests",
    "mounts",
    "names",
    "predecessors",
    "referrers",
    "refusals",
    "routing",
    "tag_listing",
    "tags",
    "uploads",
];

/// Each two layers around each other, half of them the other way round.
fn pairs() -> Vec<Suite> {
    let mut suites = Vec::new();
    for (number, one) in LAYERS.iter().enumerate() {
        for (other_number, other) in LAYERS.iter().enumerate().skip(number + 1) {
            let (above, below) = match (number + other_number) % 2 {
                0 => (one, other),
                _ => (other, one),
            };
            if let (Some(wrap), Some(wrap_below)) = (above.registry, below.registry) {
                let name = format!("{}-around-{}", above.name, below.name);
                let pair = registry(name, move |inner| wrap(wrap_below(inner)));
                suites.push(pair.with_groups(GROUPS));
            }
        }
    }
    suites
}

/// A layer around a repository that has batches.
fn batches(name: &str, wrap: Around<dyn Repository>) -> Suite {
    Suite::new(format!("layout-{name}"), move || async move {
        let directory = tempfile::tempdir()?;
        let layout = Layout::create(directory.path()).await?;
        Ok(Fixture::repository(wrap(Arc::new(layout))).with_guard(directory))
    })
    .with_groups(["batches"])
}

/// The layers around a registry that two handles share.
fn registry(
    name: String,
    wrap: impl Fn(Arc<dyn Registry>) -> Arc<dyn Registry> + Copy + Send + Sync + 'static,
) -> Suite {
    Suite::new(name, move || async move {
        Ok(Fixture::registry(wrap(Arc::new(MemoryRegistry::new()))))
    })
}
