//! From a location to a trait object.

use std::sync::Arc;

#[cfg(feature = "layout")]
use crate::layouts;
use tranship::{Error, Location, Registry, RegistryLocation, Repository, Result, ResultExt as _};

/// How a location is opened.
///
/// ```
/// use tranship_backends::OpenOptions;
///
/// let options = OpenOptions::default().with_must_exist(true);
/// assert!(options.must_exist);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenOptions {
    /// Whether what does not exist is [`NotFound`](tranship::ErrorKind::NotFound) already when it is
    /// opened. By default it is opened as empty, and comes to be with the first push.
    pub must_exist: bool,
}

impl OpenOptions {
    /// Sets [`must_exist`](Self::must_exist).
    #[must_use]
    pub fn with_must_exist(mut self, must_exist: bool) -> Self {
        self.must_exist = must_exist;
        self
    }
}

/// Opens the repository at `location`; the tag or digest in it is not looked at.
///
/// Nothing is created. What does not exist is empty, and comes to be with the first push.
///
/// # Errors
/// - [`Unsupported`](tranship::ErrorKind::Unsupported) if there is no backend for the location: it is
///   reached over the network, or its backend's feature is not enabled.
/// - [`UnsupportedVersion`](tranship::ErrorKind::UnsupportedVersion),
///   [`Corrupt`](tranship::ErrorKind::Corrupt) or [`InvalidInput`](tranship::ErrorKind::InvalidInput)
///   if what lies there is no image layout that can be read, and
///   [`InvalidReference`](tranship::ErrorKind::InvalidReference) if no layout can have the name.
/// - [`PermissionDenied`](tranship::ErrorKind::PermissionDenied) and what else the backend fails with.
pub async fn open(location: &Location) -> Result<Arc<dyn Repository>> {
    open_with(location, &OpenOptions::default()).await
}

/// Opens the repository at `location` as `options` say.
///
/// ```
/// # use tranship_backends::tranship;
/// use tranship::{ErrorKind, Location};
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
/// - [`NotFound`](tranship::ErrorKind::NotFound) if there is nothing and
///   [`OpenOptions::must_exist`] is set.
/// - As [`open`].
#[cfg_attr(
    not(feature = "layout"),
    expect(unused_variables, reason = "no other backend has options")
)]
pub async fn open_with(location: &Location, options: &OpenOptions) -> Result<Arc<dyn Repository>> {
    match location {
        #[cfg(feature = "layout")]
        Location::Layout(layout) => layouts::open(layout, options).await,
        #[cfg(feature = "layout")]
        Location::LayoutRegistry(layout) => layouts::open_one(layout, options).await,
        #[cfg(not(feature = "layout"))]
        Location::Layout(_) | Location::LayoutRegistry(_) => Err(no_layout_backend()),
        Location::Remote(_) => Err(no_remote_backend()),
        _ => Err(unknown_place()),
    }
    .during("open", location)
}

/// Opens the registry at `location`.
///
/// Nothing is created. What does not exist is empty, and comes to be with the first push.
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
    not(feature = "layout"),
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
        RegistryLocation::LayoutRegistry(_) => Err(no_layout_backend()),
        RegistryLocation::Remote(_) => Err(no_remote_backend()),
        _ => Err(unknown_place()),
    }
    .during("open", location)
}

#[cfg(not(feature = "layout"))]
fn no_layout_backend() -> Error {
    Error::unsupported("this program was built without the feature `layout` of tranship-backends")
}

fn no_remote_backend() -> Error {
    Error::unsupported("registries that are reached over the network are not supported yet")
        .with_hint("a later version brings the remote backend; to name a layout write oci:PATH")
}

fn unknown_place() -> Error {
    Error::unsupported("no backend knows this kind of place")
}
