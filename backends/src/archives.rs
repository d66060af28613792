//! Archives on a local disk, opened as the options say.

use tranship::{DockerArchiveLocation, OciArchiveLocation, Result};
use tranship_layout::Layout;

use crate::OpenOptions;
use crate::layouts::of_layout;

pub(crate) async fn open_oci(
    location: &OciArchiveLocation,
    options: &OpenOptions,
) -> Result<Layout> {
    let path = location.path();
    if options.must_exist {
        Layout::open_archive(path, of_layout(options)).await
    } else {
        Layout::create_archive(path, of_layout(options)).await
    }
}

pub(crate) async fn open_docker(
    location: &DockerArchiveLocation,
    options: &OpenOptions,
) -> Result<Layout> {
    if options.must_exist {
        Layout::open_docker_archive(location, of_layout(options)).await
    } else {
        Layout::create_docker_archive(location, of_layout(options)).await
    }
}
