//! Bundles: planned by copies, written, read, and copied from.

mod base;
mod hostile;
mod images;
mod plain;
mod read;
mod resume;
mod volumes;
mod write;
