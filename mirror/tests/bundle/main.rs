//! Bundles: planned by copies, written, read, and copied from.

mod apply;
mod base;
mod hostile;
mod images;
mod plain;
mod planning;
mod properties;
mod read;
mod resume;
mod volumes;
mod write;
