//! Layouts on object stores: S3, Google Cloud Storage, Azure, or whatever the crate `object_store` knows.
//!
//! Objects appear as a whole, and a store can be asked to replace one only if it is still the same.
//! That is all that is needed: there are no locks and no temporary objects, but for uploads.

mod backoff;
mod bucket;
mod conditional_put;
mod detached;
mod driver;
mod errors;
mod index;
mod lease;
mod lease_wait;
mod leased_index;
mod leftover;
mod memory;
mod parts;
mod place;
mod put;
mod recent;
mod redact;
mod registry;
mod store_url;
mod stored;
mod sweep;
mod update;
mod upload;
mod walk;

pub(crate) use self::driver::Object;
pub(crate) use self::registry::ObjectRegistry;
