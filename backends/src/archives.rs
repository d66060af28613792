//! Archives on a local disk, opened as the options say.

use std::path::Path;

use crate::location::{DockerArchiveLocation, OciArchiveLocation};
use tranship::{Error, Result};
use tranship_layout::Layout;

use crate::OpenOptions;
use crate::layouts::of_layout;

pub(crate) async fn open_oci(
    location: &OciArchiveLocation,
    options: &OpenOptions,
) -> Result<Layout> {
    let path = location.path();
    check_path(path)?;
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
    check_path(location.path())?;
    if options.must_exist {
        Layout::open_docker_archive(location.path(), location.name(), of_layout(options)).await
    } else {
        Layout::create_docker_archive(location.path(), location.name(), of_layout(options)).await
    }
}

/// Refuses the path that means a standard stream to programs. An archive is read at many places, and needs a file.
fn check_path(path: &Path) -> Result<()> {
    if path != Path::new("-") {
        return Ok(());
    }
    Err(
        Error::unsupported("an archive cannot be read from, or written to, a standard stream here")
            .with_hint("`tranship cp` can; a file of this name is written ./-"),
    )
}
