//! Layers: what can be put around any repository and any registry.
//!
//! A layer wraps a [`Backend`](crate::Backend) or a [`Registry`](crate::Registry) and is one, so layers combine in
//! any order. `MemoryRepository`, `Layout` and every other backend can be wrapped, and so can an
//! `Arc<dyn Repository>`, an `Arc<dyn Registry>` or a reference to one of them.
//!
//! | Layer | What it does |
//! |---|---|
//! | [`ReadOnly`] | refuses every change |
//! | [`NoDeletes`] | refuses to delete content and tags |
//! | [`PerRepository`] | wraps each repository of a registry as its name demands |
//! | [`Prefix`] | shows the repositories of a registry below a name |
//! | [`ImmutableTags`] | keeps tags that match a pattern where they point |
//! | [`Unify`] | shows several registries as one |
//! | [`Tiers`] | looks in one repository after the other |
//! | [`Cache`] | keeps what is read from another registry |
//! | [`Limit`] | bounds how many calls run at a time and in a second, and how many bytes are stored |
//! | [`Monitor`] | counts calls, and remembers when they last succeeded and failed |
//! | [`CircuitBreaker`] | makes calls fail at once for a while after a registry could not be reached |
//! | [`MapErrors`] | replaces errors by those that a function returns |
//! | [`RepositoryQuotas`] | bounds how many bytes groups of repositories store |
//! | [`Notify`] | calls a function after each call that has succeeded |
//! | `Observe`, with the feature `observe` | reports every call through the crates `tracing` and `metrics` |
//! | [`Inject`] | makes calls slow or makes them fail, for tests |
//!
//! Every layer passes the conformance suite with the capabilities that it declares, alone and around every other
//! layer.

mod cache;
mod circuit_breaker;
mod immutable_tags;
mod inject;
mod intercept;
mod limit;
mod map_errors;
mod monitor;
mod no_deletes;
mod notify;
#[cfg(feature = "observe")]
mod observe;
mod operation;
mod per_repository;
mod prefix;
mod quota;
mod read_only;
mod renamed;
mod tiers;
mod unify;

pub use cache::{Cache, CacheCounts, CacheOptions, CacheStats, CachedContent};
pub use circuit_breaker::{Circuit, CircuitBreaker, CircuitBreakerOptions};
pub use immutable_tags::ImmutableTags;
pub use inject::{Inject, InjectOptions};
pub use limit::{Limit, LimitOptions};
pub use map_errors::MapErrors;
pub use monitor::{CallStats, Calls, Monitor};
pub use no_deletes::NoDeletes;
pub use notify::Notify;
#[cfg(feature = "observe")]
pub use observe::Observe;
pub use operation::{Operation, OperationName};
pub use per_repository::PerRepository;
pub use prefix::Prefix;
pub use quota::{QuotaUsage, RepositoryQuota, RepositoryQuotas};
pub use read_only::ReadOnly;
pub use tiers::Tiers;
pub use unify::Unify;
