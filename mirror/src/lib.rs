//! Many OCI images at once: mirrors, and bundles for air gaps.
//!
//! Everything here works on [`Registry`](tranship::Registry) and [`Repository`](tranship::Repository), so sources and
//! destinations can be registries, image layouts, archives and object stores alike.
//!
//! | Module | Purpose |
//! |---|---|
//! | [`file`](mod@file) | reads rules from files: the native format, those of skopeo and regsync, and plain lists |
//! | [`prune`] | deletes what no rule chooses |
//! | [`rules`] | which images are mirrored, and where to |
//! | [`select`] | finds the images that rules choose |
//! | [`bundle`] | moves many images over an air gap, as one archive or several volumes |
//! | [`jobs`] | copies many images, shared content once, and reports what happened to each |

pub mod bundle;
pub mod file;
pub mod jobs;
pub mod prune;
pub mod rules;
pub mod select;
