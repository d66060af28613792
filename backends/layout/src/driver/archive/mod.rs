//! A layout in a tar archive. It is read in place. Each change writes a new archive beside it, which replaces it when it is
//! complete.

mod append;
mod archive_file;
mod assembly;
mod contents;
mod docker;
mod driver;
mod image;
mod maintenance;
mod member_name;
mod opened;
mod position;
mod publish;
mod read;
mod receive;
mod replace;
mod scan;
mod unpack;

pub(crate) use self::docker::{DockerArchive, ImageName};
pub(crate) use self::driver::Archive;
