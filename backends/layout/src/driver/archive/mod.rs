//! A layout in a tar archive. It is read where it lies; every change writes it anew, beside, and puts
//! it in place when it is complete.

mod append;
mod assembly;
mod collect;
mod contents;
mod decompress;
mod docker;
mod driver;
mod header;
mod image;
mod opened;
mod path;
mod place;
mod position;
mod reading;
mod receive;
mod scan;
mod unpack;
mod zstd;

pub(crate) use self::docker::{DockerArchive, ImageName};
pub(crate) use self::driver::Archive;
