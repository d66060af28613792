//! How a location is opened.

use std::fmt;

#[cfg(feature = "remote")]
use tranship::RegistryName;
#[cfg(feature = "layout")]
use tranship_layout::{Durability, LayoutOptions};
#[cfg(feature = "remote")]
use tranship_remote::RemoteOptions;

#[cfg(feature = "remote")]
use crate::remotes::Remotes;

/// How a location is opened.
///
/// Options that do not apply to a location, such as [`store_options`](Self::store_options) to a layout on a disk, are
/// ignored.
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
    /// Whether opening a location that does not exist is [`NotFound`](tranship::ErrorKind::NotFound). By default it is
    /// opened as empty, and the first push creates it. Opening a registry that is reached over HTTP sends no request in
    /// either case.
    pub must_exist: bool,
    /// What is guaranteed after a power cut, where content is written to a local disk.
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
    /// `object_store`, such as `region` or `endpoint`. A pair takes precedence over the environment.
    /// The values may be secret, so [`Debug`](fmt::Debug) omits them.
    pub store_options: Vec<(String, String)>,
    /// The endpoint by which clients reach the object store, for the URLs of
    /// [`Backend::direct_url`](tranship::Backend::direct_url); `None` if it is the endpoint of
    /// [`store_options`](Self::store_options). A URL in the form of that option.
    pub direct_endpoint: Option<String>,
    /// Whether to write also to an object store that has no conditional PUT, which is
    /// [`Unsupported`](tranship::ErrorKind::Unsupported) otherwise. If two processes write to such a
    /// store at the same time, tags of one are lost without an error: set this only if there is no other writer.
    pub unconditional_put: bool,
    #[cfg(feature = "remote")]
    pub(crate) remotes: Remotes,
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

    /// Adds one of the [`store_options`](Self::store_options). Of two with the same name, the last one is used.
    #[must_use]
    pub fn with_store_option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.store_options.push((name.into(), value.into()));
        self
    }

    /// Sets [`direct_endpoint`](Self::direct_endpoint).
    #[must_use]
    pub fn with_direct_endpoint(mut self, url: impl Into<String>) -> Self {
        self.direct_endpoint = Some(url.into());
        self
    }

    /// Sets [`unconditional_put`](Self::unconditional_put).
    #[must_use]
    pub fn with_unconditional_put(mut self, unconditional_put: bool) -> Self {
        self.unconditional_put = unconditional_put;
        self
    }
}

#[cfg(feature = "layout")]
impl OpenOptions {
    /// Returns the options for a layout.
    pub(crate) fn layout(&self) -> LayoutOptions {
        let mut layout = LayoutOptions::default()
            .with_durability(self.durability)
            .with_unconditional_put(self.unconditional_put);
        layout.follow_links.clone_from(&self.follow_links);
        if let Some(bytes) = self.max_unpacked_size {
            layout = layout.with_max_unpacked_size(bytes);
        }
        layout
    }
}

#[cfg(feature = "remote")]
impl OpenOptions {
    /// Reaches registries over HTTP as `options` say; by default anonymously.
    ///
    /// Repositories of one registry that are opened with these options or their clones share connections, tokens and
    /// limits.
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
        self.remotes = self.remotes.with_options(options);
        self
    }

    /// Reaches the registry `name` as `options` say, and not as in [`with_remote`](Self::with_remote).
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
        self.remotes = self.remotes.with_options_for(name, options);
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
            .field("direct_endpoint", &self.direct_endpoint)
            .field("unconditional_put", &self.unconditional_put);
        #[cfg(feature = "remote")]
        debug.field("remote", &self.remotes);
        debug.finish()
    }
}
