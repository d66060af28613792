//! What `docker save` writes and `docker load` reads: images by their names, each a config and layers
//! that are not compressed.

mod agreement;
mod assembly;
mod driver;
mod layer;
mod manifest_json;
mod members;
mod pushed;
mod reading;
mod tags;
mod wanted;

pub(super) use self::agreement::check;
pub(crate) use self::driver::DockerArchive;
pub(crate) use self::tags::ImageName;
