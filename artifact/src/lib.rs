//! Files as OCI artifacts, the files of images, and the upkeep of repositories.
//!
//! Every function takes a `&dyn` [`Repository`](tranship::Repository), so it works with registries, image layouts, archives
//! and object stores alike.
//!
//! | Module | Purpose |
//! |---|---|
//! | [`files`] | pushes files and directories as an artifact, attaches them, and pulls them |
//! | [`image`] | describes and verifies images and artifacts, and reads the files of an image |
//! | [`index`] | makes and changes indexes |
//! | [`annotate`] | changes the annotations of manifests |
//! | [`referrers`] | finds the referrers of a manifest, as a tree |
//! | [`tags`] | chooses tags by pattern, version and time |
//! | [`retention`] | deletes old tags, and what only they lead to |
//!
//! ```
//! use tranship_artifact::files::{self, FileSpec, PullOptions, PushOptions};
//! use tranship_artifact::image::{self, InspectOptions};
//! # use tranship_memory::MemoryRepository;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> tranship::Result<()> {
//! # let directory = tempfile::tempdir().unwrap();
//! # let path = |name: &str| directory.path().join(name);
//! # let repository = MemoryRepository::new();
//! # std::fs::write(path("rules.yaml"), "a: 1").unwrap();
//! let rules = FileSpec::new(path("rules.yaml")).with_title("rules.yaml");
//! let options = PushOptions::default().with_tag("v1".parse()?);
//! files::push(&repository, [rules], &options).await?;
//!
//! let found = image::inspect(&repository, &"v1".parse()?, &InspectOptions::default()).await?;
//! println!("{} has {} bytes", found.descriptor.digest(), found.total_size);
//! files::pull(&repository, &"v1".parse()?, path("out"), &PullOptions::default()).await?;
//! # Ok(())
//! # }
//! ```

pub mod annotate;
mod change;
pub mod files;
pub mod image;
pub mod index;
pub mod referrers;
pub mod retention;
pub mod tags;

/// The annotation with the time at which an artifact was created.
const CREATED: &str = "org.opencontainers.image.created";
