//! Scenarios that every tranship backend passes.
//!
//! A scenario is a named sentence about [`Repository`](tranship::Repository) or
//! [`Registry`](tranship::Registry), such as `tags::a_moved_tag_keeps_the_old_manifest`. A [`Suite`]
//! runs all of them against one backend, as tests that `cargo test` lists and filters one by one.
//! For a backend's author that is a test target with `harness = false`:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use std::sync::Arc;
//!
//! use tranship_conformance::{Fixture, Suite};
//! # use tranship_memory::MemoryRegistry;
//!
//! fn main() -> ExitCode {
//!     Suite::new("memory", || async {
//!         Ok(Fixture::registry(Arc::new(MemoryRegistry::new())))
//!     })
//!     .run()
//! }
//! ```
//!
//! Each trial opens a fresh [`Fixture`] on a dedicated tokio runtime, so a trial cannot disturb
//! another, and one that hangs or panics fails alone.
//!
//! # What applies to a backend
//!
//! The backend's [`Capabilities`](tranship::Capabilities) decide. A scenario that needs what the
//! backend says it cannot do is reported as ignored, with the backend's reason; the summary at the
//! end counts them. What a backend claims, it must pass. If that is not known yet
//! ([`Support::Unknown`](tranship::Support::Unknown)) the scenario runs, and is ignored only if the
//! backend fails with [`Unsupported`](tranship::ErrorKind::Unsupported).
//!
//! What a backend claims and does not do yet is declared as a [`Gap`]: reported as ignored while it
//! fails, and as a failure as soon as it passes.
//!
//! # Over HTTP
//!
//! With the feature `http`, the module `http` has what the authors of clients need beside scenarios:
//! a wrapper that makes any server misbehave as registries do, and a proxy that breaks connections.
//!
//! # Running scenarios by hand
//!
//! ```
//! # use std::sync::Arc;
//! # use tranship_conformance::{Fixture, Outcome, scenario};
//! # use tranship_memory::MemoryRegistry;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let scenario = scenario("tags::a_moved_tag_keeps_the_old_manifest").expect("a scenario");
//! let fixture = Fixture::registry(Arc::new(MemoryRegistry::new()));
//! assert!(matches!(scenario.run(&fixture).await, Outcome::Passed));
//! # }
//! ```

mod check;
pub mod content;
mod context;
mod failure;
mod fixture;
#[cfg(feature = "http")]
pub mod http;
mod scenario;
mod scenarios;
mod source;
mod steps;
mod suite;

pub use failure::Failure;
pub use fixture::Fixture;
pub use scenario::{Need, Outcome, Scenario};
pub use scenarios::{scenario, scenarios};
pub use suite::{Gap, Suite, main};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
