//! A layout in a directory of a local disk.

mod commit;
mod copy;
mod directory;
mod driver;
mod hash;
mod imports;
mod index;
mod leftover;
mod link;
mod lock;
mod maintenance_lock;
mod pages;
mod partial;
mod paths;
mod preallocation;
mod recent_blobs;
mod registry;
mod reserve;
mod stored;
mod suspects;
mod sweep;
mod sync;
mod upload;
mod walk;
mod write;
mod writers;

pub(crate) use self::driver::Local;
pub(crate) use self::registry::LocalRegistry;
