//! The archives that `docker save` writes and `docker load` reads: named images, each with a config and uncompressed
//! layers.

mod assembly;
mod config_check;
mod contents;
mod driver;
mod layer;
mod manifest_json;
mod members;
mod new_images;
mod pushed;
mod tags;

pub(super) use self::config_check::check_configs;
pub(crate) use self::driver::DockerArchive;
pub(crate) use self::tags::ImageName;
