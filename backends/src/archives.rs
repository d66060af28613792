//! Opens archives on a local disk.

use std::path::Path;

use tranship::{Error, Result};
use tranship_layout::Layout;

use crate::location::{DockerArchiveLocation, OciArchiveLocation};
use crate::options::OpenOptions;

pub(crate) async fn open_oci(
    location: &OciArchiveLocation,
    options: &OpenOptions,
) -> Result<Layout> {
    let path = location.path();
    check_path(path)?;
    if options.must_exist {
        Layout::open_archive(path, options.layout()).await
    } else {
        Layout::create_archive(path, options.layout()).await
    }
}

pub(crate) async fn open_docker(
    location: &DockerArchiveLocation,
    options: &OpenOptions,
) -> Result<Layout> {
    check_path(location.path())?;
    if options.must_exist {
        Layout::open_docker_archive(location.path(), location.name(), options.layout()).await
    } else {
        Layout::create_docker_archive(location.path(), location.name(), options.layout()).await
    }
}

/// Checks that the path is not the one of a standard stream. An archive is read at many positions, and needs a file.
fn check_path(path: &Path) -> Result<()> {
    if path != Path::new("-") {
        return Ok(());
    }
    Err(
        Error::unsupported("an archive cannot be read from, or written to, a standard stream here")
            .with_hint("`tranship cp` can; a file of this name is written ./-"),
    )
}
