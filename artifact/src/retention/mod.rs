//! Deletes old tags, and what only they lead to.
//!
//! A [`Selection`] says which tags go: by name, by age, or all but the newest. [`plan`] reads the whole graph of the
//! repository and returns a [`Plan`], which can be shown, and [`Plan::carry_out`] deletes. [`plan_all`] takes several
//! selections, of which the first one that matches a tag decides about it.
//!
//! # What stays
//!
//! Everything that a tag which stays leads to: the manifests of its index, its subject, and in turn what these lead to;
//! and what refers to any of that, unless a tag that goes names it. If a manifest has a tag that goes and one that stays, only the tag is removed. Whatever the age decides stays if its
//! age is not known.
//!
//! # What goes
//!
//! The manifests of the tags that go, with the manifests of their indexes, their referrers, and what is attached to them
//! by digest tags such as `sha256-….sig`. Blobs are left to the garbage collection of the registry or of
//! `tranship gc`. In a registry the manifests that nothing but an untagged index refers to cannot be found, since
//! registries do not list what has no tag.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use tranship::{Repository, Result};
//! use tranship_artifact::retention::{Selection, plan};
//! use tranship_artifact::tags::TagFilter;
//!
//! /// Deletes what pull requests have left a month ago, except for the five newest.
//! async fn tidy(repository: &dyn Repository) -> Result<()> {
//!     let selection = Selection::default()
//!         .with_tags(TagFilter::default().with_glob("pr-*"))
//!         .with_older_than(Duration::from_secs(30 * 24 * 60 * 60))
//!         .with_keep(5);
//!     let plan = plan(repository, &selection).await?;
//!     for tag in plan.tags() {
//!         println!("{} {}", tag.tag, tag.manifest.digest());
//!     }
//!     let outcome = plan.carry_out(repository).await;
//!     match outcome.failures.into_iter().next() {
//!         Some(error) => Err(error),
//!         None => Ok(()),
//!     }
//! }
//! ```

mod carry_out;
mod graph;
mod plan;
mod selection;

pub use carry_out::DeletionOutcome;
pub use plan::{Plan, PlannedTag, plan, plan_all};
pub use selection::Selection;
