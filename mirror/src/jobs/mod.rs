//! Copies many images, shared content once, and reports what happened to each.
//!
//! [`Plan::make`] finds out which images are up to date, with one request for each at the source and at the destination;
//! [`Plan::carry_out`] copies the others. An image that fails does not stop the others.
//!
//! ```
//! use std::sync::Arc;
//! use tranship::{Registry as _, TagOrDigest};
//! use tranship_memory::MemoryRegistry;
//! use tranship_mirror::jobs::{Image, JobOptions, Place, Plan};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> tranship::Result<()> {
//! # let (public, private) = (MemoryRegistry::new(), MemoryRegistry::new());
//! let from = public.repository(&"team/app".parse()?).await?;
//! # let options = tranship::PackOptions::new("application/vnd.example".parse()?);
//! # tranship::pack_and_tag(&*from, &options, &["v1".parse()?, "v2".parse()?]).await?;
//! let to = private.repository(&"mirror/app".parse()?).await?;
//! let images = tranship::tags(&*from).await?.into_iter().map(|tag| {
//!     let source = Place::new("public/team/app", from.clone());
//!     let destination = Place::new("private/mirror/app", to.clone());
//!     Image::new(source, tag.clone(), destination).with_tag(tag)
//! });
//!
//! let options = JobOptions::default();
//! let plan = Plan::make(images.collect(), &options).await?;
//! let report = plan.carry_out(&options).await;
//! assert_eq!(report.failures().count(), 0);
//! assert_eq!(tranship::tags(&*to).await?.len(), 2);
//! # Ok(())
//! # }
//! ```

mod carry_out;
mod image;
mod observer;
mod options;
mod outages;
mod plan;
mod report;
mod roots;
mod shared_blobs;
mod sharing_hooks;

pub use image::{Image, Place};
pub use observer::Observer;
pub use options::JobOptions;
pub use plan::{Plan, PlannedImage, State};
pub use report::{ImageReport, Outcome, Report};
pub use roots::Roots;
pub(crate) use shared_blobs::SharedBlobs;
pub(crate) use sharing_hooks::SharingHooks;
