//! Opens layouts for the operations that only layouts have.

use tranship::{Error, Result, ResultExt as _};
use tranship_layout::{Layout, LayoutRegistry};

#[cfg(feature = "archive")]
use crate::archives;
use crate::location::{Location, RegistryLocation};
#[cfg(feature = "objects")]
use crate::object_layouts;
use crate::options::OpenOptions;

/// Opens the image layout at `location`, for the operations that only layouts have: garbage collection and checks.
/// The tag or digest in it is ignored.
///
/// This does not read the layout. If it is damaged or does not exist, its operations return the error.
///
/// # Errors
/// - [`Unsupported`](tranship::ErrorKind::Unsupported) if the location is not that of a layout.
/// - [`NotFound`](tranship::ErrorKind::NotFound) if it is one of a directory that does not exist.
/// - [`InvalidReference`](tranship::ErrorKind::InvalidReference) if no layout can have the name.
pub async fn open_layout(location: &Location, options: &OpenOptions) -> Result<Layout> {
    any_layout(location, options).await.during("open", location)
}

/// Opens the image layouts in a directory, or below a prefix of an object store, for the operations that only layouts
/// have. The directory, or an object below the prefix, must exist.
///
/// # Errors
/// - [`Unsupported`](tranship::ErrorKind::Unsupported) if the location is not one of layouts.
/// - [`NotFound`](tranship::ErrorKind::NotFound) if it does not exist.
/// - The other errors of an object store.
pub async fn open_layout_registry(
    location: &RegistryLocation,
    options: &OpenOptions,
) -> Result<LayoutRegistry> {
    any_registry(location, options)
        .await
        .during("open", location)
}

async fn any_layout(location: &Location, options: &OpenOptions) -> Result<Layout> {
    match location {
        Location::Layout(layout) => Layout::open_unchecked(layout.path(), options.layout()).await,
        Location::LayoutRegistry(layout) => {
            let registry = LayoutRegistry::open_with(layout.root(), options.layout()).await?;
            registry.layout(layout.repository()).await
        }
        #[cfg(feature = "archive")]
        Location::OciArchive(archive) => archives::open_oci(archive, options).await,
        #[cfg(feature = "archive")]
        Location::DockerArchive(archive) => archives::open_docker(archive, options).await,
        #[cfg(feature = "objects")]
        Location::ObjectLayout(layout) => object_layouts::open_layout(layout, options).await,
        #[cfg(feature = "objects")]
        Location::ObjectLayoutRegistry(layout) => {
            let registry = object_layouts::open_registry(layout.root(), options).await?;
            registry.layout(layout.repository()).await
        }
        _ => Err(not_a_layout()),
    }
}

async fn any_registry(
    location: &RegistryLocation,
    options: &OpenOptions,
) -> Result<LayoutRegistry> {
    match location {
        RegistryLocation::LayoutRegistry(root) => {
            LayoutRegistry::open_with(root.as_path(), options.layout()).await
        }
        #[cfg(feature = "objects")]
        RegistryLocation::ObjectLayoutRegistry(root) => {
            let existing = options.clone().with_must_exist(true);
            object_layouts::open_registry(root, &existing).await
        }
        _ => Err(not_a_layout()),
    }
}

fn not_a_layout() -> Error {
    Error::unsupported("is no image layout")
        .with_hint("a registry maintains its own storage; name a layout by oci:PATH")
}
