//! Files as OCI artifacts, and what is in an image.
//!
//! | Module | Purpose |
//! |---|---|
//! | [`annotate`] | changes the annotations of manifests |
//! | [`files`] | pushes files and directories as an artifact, and pulls them |
//! | [`image`] | describes images and artifacts, and reads the file system of an image |
//! | [`index`] | makes and changes image indexes |
//! | [`retention`] | deletes old tags, and what only they lead to |
//! | [`tags`] | chooses tags by pattern, version and time |

pub mod annotate;
mod change;
pub mod files;
pub mod image;
pub mod index;
pub mod retention;
pub mod tags;
