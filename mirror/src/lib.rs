//! Many OCI images at once: mirrors, and bundles for air gaps.
//!
//! Everything here works on [`Registry`](tranship::Registry) and [`Repository`](tranship::Repository), so sources and
//! destinations can be registries, image layouts, archives and object stores alike.
//!
//! | Module | Purpose |
//! |---|---|
//! | [`rules`] | which images are mirrored, and where to |
//! | [`file`](mod@file) | reads rules from files: the native format, those of skopeo and regsync, and lists of images |
//! | [`select`] | finds the images that rules choose |
//! | [`jobs`] | copies many images, shared content once, and reports what happened to each |
//! | [`prune`] | deletes what no rule chooses |
//! | [`bundle`] | moves many images over an air gap, as one archive or several volumes |
//!
//! # A mirror
//!
//! [`mirror`] does all of it, except for pruning. It opens what the rules name by an [`Opener`](select::Opener); this one takes the
//! locations of the command line.
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use tranship::{Registry, Repository, Result};
//! use tranship_mirror::jobs::JobOptions;
//! use tranship_mirror::select::{End, Opener};
//!
//! struct Locations;
//!
//! #[async_trait]
//! impl Opener for Locations {
//!     async fn registry(&self, location: &str, _: End) -> Result<Arc<dyn Registry>> {
//!         tranship_backends::open_registry(&location.parse()?).await
//!     }
//!
//!     async fn repository(&self, location: &str, _: End) -> Result<Arc<dyn Repository>> {
//!         tranship_backends::open(&location.parse()?).await
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! # let directory = tempfile::tempdir().unwrap();
//! # let root = directory.path().display();
//! # let from = tranship_backends::open(&format!("layouts:{root}/from//team/app").parse()?).await?;
//! # let options = tranship::PackOptions::new("application/vnd.example".parse()?);
//! # tranship::pack_and_tag(&*from, &options, &["v1.2.0".parse()?]).await?;
//! let file = "images: [{from: 'layouts:from//team/*', to: 'layouts:to', semver: '>=1'}]";
//! # let file = &file.replace("from//", &format!("{root}/from//")).replace(":to", &format!(":{root}/to"));
//! let rules = tranship_mirror::file::read(file, "mirror.yaml", None, None)?;
//! let mirrored = tranship_mirror::mirror(&rules.rules, &Locations, &JobOptions::default()).await?;
//! for (image, error) in mirrored.report.failures() {
//!     eprintln!("{}: {error}", image.source_name());
//! }
//! assert!(mirrored.is_complete());
//! # Ok(())
//! # }
//! ```

pub mod bundle;
pub mod file;
pub mod jobs;
mod mirrored;
pub mod prune;
pub mod rules;
pub mod select;

pub use mirrored::{Mirrored, mirror};
