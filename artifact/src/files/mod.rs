//! Pushes files and directories as an artifact, and pulls them.
//!
//! The formats are those of ORAS: each file is a layer that has its name as the annotation
//! `org.opencontainers.image.title`, and a directory is a tar archive, compressed with gzip, that is unpacked when it is
//! pulled. Either program can pull what the other one pushed.
//!
//! # Examples
//!
//! Push files, and pull them:
//!
//! ```
//! use tranship_artifact::files::{self, FileSpec, PullOptions, PushOptions};
//! # use tranship_memory::MemoryRepository;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> tranship::Result<()> {
//! # let directory = tempfile::tempdir().unwrap();
//! # let path = |name: &str| directory.path().join(name);
//! # let repository = MemoryRepository::new();
//! std::fs::write(path("notes.txt"), "hello").unwrap();
//! let file = FileSpec::new(path("notes.txt")).with_title("notes.txt");
//! let options = PushOptions::default().with_tag("v1".parse()?);
//! files::push(&repository, [file], &options).await?;
//!
//! files::pull(&repository, &"v1".parse()?, path("out"), &PullOptions::default()).await?;
//! assert_eq!(std::fs::read_to_string(path("out/notes.txt")).unwrap(), "hello");
//! # Ok(())
//! # }
//! ```
//!
//! From a directory to a layout, and on to a registry, with what is attached:
//!
//! ```no_run
//! use tranship::{ExtendedCopyOptions, Repository, Result, extended_copy};
//! use tranship_artifact::files::{self, FileSpec, PushOptions};
//! use tranship_layout::Layout;
//!
//! # async fn example(registry: &dyn Repository) -> Result<()> {
//! let layout = Layout::create("artifact").await?;
//! let (v1, tag) = ("v1".parse()?, "v1".parse()?);
//! files::push(&layout, [FileSpec::new("data")], &PushOptions::default().with_tag(tag)).await?;
//! let options = PushOptions::default().with_artifact_type("application/spdx+json".parse()?);
//! files::attach(&layout, &v1, [FileSpec::new("sbom.json")], &options).await?;
//! let options = ExtendedCopyOptions::default();
//! extended_copy(&layout, &v1, registry, &["v1".parse()?], &options).await?;
//! # Ok(())
//! # }
//! ```

mod archive;
mod dir;
mod helm;
mod input;
mod merge;
mod pull;
mod pull_options;
mod push;
mod push_options;
mod regular;
mod select;
mod spec;
mod stage;
mod staging;
mod title;

pub use pull::{PullAction, PullReport, PulledFile, pull};
pub use pull_options::PullOptions;
pub use push::{PushReport, attach, push};
pub use push_options::PushOptions;
pub use spec::FileSpec;
