//! Pushes files and directories as an artifact, and pulls them.
//!
//! The formats are those of ORAS: each file is a layer that has its name as the annotation
//! `org.opencontainers.image.title`, and a directory is a tar archive, compressed with gzip, that is unpacked when it is
//! pulled. Either program can pull what the other one pushed.

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
