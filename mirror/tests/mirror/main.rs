//! Mirrors between registries in memory and in directories.

mod copying;
mod failures;
mod pruning;
mod shared_blobs;
mod support;
