//! Opens the repository or the registry at a location.

use std::sync::Arc;

use tranship::{Registry, Repository, Result, ResultExt as _};

#[cfg(feature = "archive")]
use crate::archives;
#[cfg(feature = "layout")]
use crate::layouts;
use crate::location::{Location, RegistryLocation};
#[cfg(feature = "objects")]
use crate::object_layouts;
use crate::options::OpenOptions;

/// Opens the repository at `location`. The tag or digest in it is ignored.
///
/// This creates nothing. A repository that does not exist is empty, and the first push creates it.
///
/// # Errors
/// - [`Unsupported`](tranship::ErrorKind::Unsupported) if the feature of the location's backend is not
///   enabled.
/// - [`UnsupportedVersion`](tranship::ErrorKind::UnsupportedVersion),
///   [`Corrupt`](tranship::ErrorKind::Corrupt) or [`InvalidInput`](tranship::ErrorKind::InvalidInput)
///   if the location is not an image layout that can be read, and
///   [`InvalidReference`](tranship::ErrorKind::InvalidReference) if no layout can have the name.
/// - [`PermissionDenied`](tranship::ErrorKind::PermissionDenied) and the other errors of the backend.
pub async fn open(location: &Location) -> Result<Arc<dyn Repository>> {
    open_with(location, &OpenOptions::default()).await
}

/// Opens the repository at `location` as `options` say.
///
/// ```
/// # use tranship_backends::tranship;
/// use tranship::{ErrorKind};
/// use tranship_backends::{Location};
/// use tranship_backends::{OpenOptions, open_with};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let typo: Location = "oci:no/such/directory:v1".parse()?;
/// let options = OpenOptions::default().with_must_exist(true);
/// let error = open_with(&typo, &options).await.unwrap_err();
/// # if cfg!(feature = "layout") {
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// # }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// - [`NotFound`](tranship::ErrorKind::NotFound) if the location does not exist and
///   [`OpenOptions::must_exist`] is set.
/// - As [`open`].
#[cfg_attr(
    not(any(feature = "layout", feature = "remote")),
    expect(unused_variables, reason = "no other backend has options")
)]
pub async fn open_with(location: &Location, options: &OpenOptions) -> Result<Arc<dyn Repository>> {
    match location {
        #[cfg(feature = "layout")]
        Location::Layout(layout) => layouts::open(layout, options).await,
        #[cfg(feature = "layout")]
        Location::LayoutRegistry(layout) => layouts::open_one(layout, options).await,
        #[cfg(not(feature = "layout"))]
        Location::Layout(_) | Location::LayoutRegistry(_) => Err(no_backend("layout")),
        #[cfg(feature = "archive")]
        Location::OciArchive(archive) => {
            let layout = archives::open_oci(archive, options).await;
            layout.map(|layout| Arc::new(layout) as Arc<dyn Repository>)
        }
        #[cfg(feature = "archive")]
        Location::DockerArchive(archive) => {
            let layout = archives::open_docker(archive, options).await;
            layout.map(|layout| Arc::new(layout) as Arc<dyn Repository>)
        }
        #[cfg(not(feature = "archive"))]
        Location::OciArchive(_) | Location::DockerArchive(_) => Err(no_backend("archive")),
        #[cfg(feature = "objects")]
        Location::ObjectLayout(layout) => object_layouts::open(layout, options).await,
        #[cfg(feature = "objects")]
        Location::ObjectLayoutRegistry(layout) => object_layouts::open_one(layout, options).await,
        #[cfg(not(feature = "objects"))]
        Location::ObjectLayout(_) | Location::ObjectLayoutRegistry(_) => {
            Err(no_backend("s3`, `gcs`, `azure` or `http"))
        }
        #[cfg(feature = "remote")]
        Location::Remote(reference) => options.remotes.repository(reference),
        #[cfg(not(feature = "remote"))]
        Location::Remote(_) => Err(no_backend("remote")),
    }
    .during("open", location)
}

/// Opens the registry at `location`.
///
/// This creates nothing. A registry that does not exist is empty, and the first push creates it.
///
/// ```
/// # use tranship_backends::tranship;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// # if cfg!(feature = "layout") {
/// let registry = tranship_backends::open_registry(&"layouts:no/such/directory".parse()?).await?;
/// assert_eq!(tranship::repositories(&*registry).await?, []);
/// # }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`open`].
pub async fn open_registry(location: &RegistryLocation) -> Result<Arc<dyn Registry>> {
    open_registry_with(location, &OpenOptions::default()).await
}

/// Opens the registry at `location` as `options` say.
///
/// # Errors
/// As [`open_with`].
#[cfg_attr(
    not(any(feature = "layout", feature = "remote")),
    expect(unused_variables, reason = "no other backend has options")
)]
pub async fn open_registry_with(
    location: &RegistryLocation,
    options: &OpenOptions,
) -> Result<Arc<dyn Registry>> {
    match location {
        #[cfg(feature = "layout")]
        RegistryLocation::LayoutRegistry(root) => layouts::open_all(root, options).await,
        #[cfg(not(feature = "layout"))]
        RegistryLocation::LayoutRegistry(_) => Err(no_backend("layout")),
        #[cfg(feature = "objects")]
        RegistryLocation::ObjectLayoutRegistry(root) => {
            let registry = object_layouts::open_registry(root, options).await;
            registry.map(|registry| Arc::new(registry) as Arc<dyn Registry>)
        }
        #[cfg(not(feature = "objects"))]
        RegistryLocation::ObjectLayoutRegistry(_) => {
            Err(no_backend("s3`, `gcs`, `azure` or `http"))
        }
        #[cfg(feature = "remote")]
        RegistryLocation::Remote(name) => options.remotes.registry(name),
        #[cfg(not(feature = "remote"))]
        RegistryLocation::Remote(_) => Err(no_backend("remote")),
    }
    .during("open", location)
}

#[cfg(not(all(
    feature = "layout",
    feature = "archive",
    feature = "objects",
    feature = "remote"
)))]
fn no_backend(feature: &str) -> tranship::Error {
    tranship::Error::unsupported(format!(
        "this program was built without the feature `{feature}` of tranship-backends"
    ))
}
