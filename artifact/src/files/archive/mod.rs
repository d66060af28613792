//! Archives of directories: written when a directory is pushed, unpacked when it is pulled.

mod hashed;
mod link;
mod metered;
mod pack;
mod unpack;

pub(super) use hashed::Hashed;
pub(super) use pack::{pack, tar_digest};
pub(super) use unpack::{Limits, unpack};
