//! Layouts in object stores: S3, Google Cloud Storage, Azure, and all others that the crate `object_store` supports.
//!
//! An object becomes visible as a whole, and a store can replace an object on the condition that it has not changed. So
//! there are no locks, and no temporary objects except those of uploads.

mod backoff;
mod bucket;
mod catalog;
mod conditional_put;
mod detached;
mod driver;
mod errors;
mod index;
mod keys;
mod layout;
mod lease;
mod lease_wait;
mod leased_index;
mod leftover;
mod maintenance_lease;
mod memory_budget;
mod multipart;
mod object_writer;
mod part_reader;
mod put;
mod recent_blobs;
mod redact;
mod registry;
mod session;
mod store_url;
mod stored;
mod sweep;
mod update;
mod upload;
mod walk;

pub(crate) use self::driver::Object;
pub use self::object_writer::ObjectWriter;
pub(crate) use self::registry::ObjectRegistry;
