//! From a location to a trait object.

use std::fmt;
use std::sync::Arc;

use crate::location::{Location, RegistryLocation};
#[cfg(feature = "remote")]
use tranship::RegistryName;
use tranship::{Registry, Repository, Result, ResultExt as _};
#[cfg(feature = "layout")]
use tranship_layout::Durability;
#[cfg(feature = "remote")]
use tranship_remote::RemoteOptions;

#[cfg(feature = "archive")]
use crate::archives;
#[cfg(feature = "layout")]
use crate::layouts;
#[cfg(feature = "objects")]
use crate::object_layouts;
#[cfg(feature = "remote")]
use crate::remotes::Remotes;

/// How a location is opened.
///
/// What does not apply to a location, such as [`store_options`](Self::store_options) to a layout on a
/// disk, is not looked at.
///
/// ```
/// use tranship_backends::OpenOptions;
///
/// let options = OpenOptions::default()
///     .with_must_exist(true)
///     .with_store_option("region", "eu-central-1");
/// assert!(options.must_exist);
/// ```
#[non_exhaustive]
#[derive(Clone, Default)]
pub struct OpenOptions {
    /// Whether what does not exist is [`NotFound`](tranship::ErrorKind::NotFound) already when it is
    /// opened. By default it is opened as empty, and comes to be with the first push. A registry that is
    /// reached over HTTP is not asked, either way.
    pub must_exist: bool,
    /// What a finished call promises of a power cut, where content is written to a local disk.
    #[cfg(feature = "layout")]
    pub durability: Durability,
    /// A directory: links in a layout on a local disk (`oci:PATH`) that lead to files below it are followed, and the
    /// layout is only read. `None` follows no links. See
    /// [`LayoutOptions::follow_links`](crate::layout::LayoutOptions::follow_links).
    #[cfg(feature = "layout")]
    pub follow_links: Option<std::path::PathBuf>,
    /// How large a compressed archive may be when it is decompressed, in bytes; `None` is the default of
    /// [`LayoutOptions::max_unpacked_size`](crate::layout::LayoutOptions::max_unpacked_size).
    #[cfg(feature = "layout")]
    pub max_unpacked_size: Option<u64>,
    /// Settings of an object store, as pairs of a name and a value. The names are those of the crate
    /// `object_store`, such as `region` or `endpoint`; a pair goes before what the environment says.
    /// The values may be secret, so [`Debug`](fmt::Debug) leaves them out.
    pub store_options: Vec<(String, String)>,
    /// Whether to write also to an object store that has no conditional PUT, which is
    /// [`Unsupported`](tranship::ErrorKind::Unsupported) otherwise. Of two who write there at the same
    /// time, one loses tags without notice: set it only where nobody else writes meanwhile.
    pub unconditional_put: bool,
    #[cfg(feature = "remote")]
    remotes: Remotes,
}

impl OpenOptions {
    /// Sets [`must_exist`](Self::must_exist).
    #[must_use]
    pub fn with_must_exist(mut self, must_exist: bool) -> Self {
        self.must_exist = must_exist;
        self
    }

    /// Sets [`durability`](Self::durability).
    #[cfg(feature = "layout")]
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets [`follow_links`](Self::follow_links).
    #[cfg(feature = "layout")]
    #[must_use]
    pub fn with_follow_links(mut self, root: Option<std::path::PathBuf>) -> Self {
        self.follow_links = root;
        self
    }

    /// Sets [`max_unpacked_size`](Self::max_unpacked_size).
    #[cfg(feature = "layout")]
    #[must_use]
    pub fn with_max_unpacked_size(mut self, bytes: Option<u64>) -> Self {
        self.max_unpacked_size = bytes;
        self
    }

    /// Adds one of the [`store_options`](Self::store_options); of two with the same name, the last one
    /// counts.
    #[must_use]
    pub fn with_store_option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.store_options.push((name.into(), value.into()));
        self
    }

    /// Sets [`unconditional_put`](Self::unconditional_put).
    #[must_use]
    pub fn with_unconditional_put(mut self, unconditional_put: bool) -> Self {
        self.unconditional_put = unconditional_put;
        self
    }
}

#[cfg(feature = "remote")]
impl OpenOptions {
    /// Reaches registries over HTTP as `options` say; by default anonymously.
    ///
    /// What is opened with these options and their clones shares connections, tokens and bounds where
    /// it is of one registry.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tranship_backends::OpenOptions;
    /// use tranship_backends::remote::{CredentialFiles, Environment, RemoteOptions};
    ///
    /// // What `docker login` and `podman login` have stored.
    /// let credentials = CredentialFiles::new(&Environment::from_environment());
    /// let options = RemoteOptions::default().with_credentials(Arc::new(credentials));
    /// let options = OpenOptions::default().with_remote(options);
    /// ```
    #[must_use]
    pub fn with_remote(mut self, options: RemoteOptions) -> Self {
        self.remotes = self.remotes.reached(options);
        self
    }

    /// Reaches the registry `name` as `options` say, whatever [`with_remote`](Self::with_remote) says of
    /// all others.
    ///
    /// ```
    /// use tranship_backends::OpenOptions;
    /// use tranship_backends::remote::{RemoteOptions, Scheme};
    ///
    /// let inside = "10.0.0.7:5000".parse()?;
    /// let in_clear_text = RemoteOptions::default().with_scheme(Scheme::Http);
    /// let options = OpenOptions::default().with_remote_for(inside, in_clear_text);
    /// # Ok::<_, tranship_backends::tranship::Error>(())
    /// ```
    #[must_use]
    pub fn with_remote_for(mut self, name: RegistryName, options: RemoteOptions) -> Self {
        self.remotes = self.remotes.except(name, options);
        self
    }
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.store_options.iter().map(|(name, _)| name);
        let mut debug = f.debug_struct("OpenOptions");
        debug.field("must_exist", &self.must_exist);
        #[cfg(feature = "layout")]
        debug
            .field("durability", &self.durability)
            .field("follow_links", &self.follow_links)
            .field("max_unpacked_size", &self.max_unpacked_size);
        debug
            .field("store_options", &names.collect::<Vec<_>>())
            .field("unconditional_put", &self.unconditional_put);
        #[cfg(feature = "remote")]
        debug.field("remote", &self.remotes);
        debug.finish()
    }
}

/// Opens the repository at `location`; the tag or digest in it is not looked at.
///
/// Nothing is created. What does not exist is empty, and comes to be with the first push.
///
/// # Errors
/// - [`Unsupported`](tranship::ErrorKind::Unsupported) if the feature of the location's backend is not
///   enabled.
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
/// - [`NotFound`](tranship::ErrorKind::NotFound) if there is nothing and
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

/// Opens the image layout at `location`, for what only layouts do: garbage collection and checks.
/// The tag or digest in it is not looked at.
///
/// The layout is not looked at either: it may be damaged, or not there at all, which is told when it
/// is used.
///
/// # Errors
/// - [`Unsupported`](tranship::ErrorKind::Unsupported) if the location is not that of a layout.
/// - [`NotFound`](tranship::ErrorKind::NotFound) if it is one of a directory that does not exist.
/// - [`InvalidReference`](tranship::ErrorKind::InvalidReference) if no layout can have the name.
#[cfg(feature = "layout")]
pub async fn open_layout(
    location: &Location,
    options: &OpenOptions,
) -> Result<crate::layout::Layout> {
    layouts::open_unchecked(location, options)
        .await
        .during("open", location)
}

/// Opens the image layouts in a directory, or below a prefix of an object store, for what only layouts
/// do. There must be such a directory, or something below the prefix.
///
/// # Errors
/// - [`Unsupported`](tranship::ErrorKind::Unsupported) if the location is that of something else.
/// - [`NotFound`](tranship::ErrorKind::NotFound) if there is no directory, or nothing below the prefix.
/// - What else an object store answers.
#[cfg(feature = "layout")]
pub async fn open_layout_registry(
    location: &RegistryLocation,
    options: &OpenOptions,
) -> Result<crate::layout::LayoutRegistry> {
    layouts::open_registry(location, options)
        .await
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
