//! Where content lies: the strings that the command line and programs take.

mod archive;
mod foreign;
mod layout;
mod object;
mod registry_location;
mod scheme;
mod suffix;
mod url;

use std::fmt;
use std::str::FromStr;

use scheme::{Scheme, unknown_kind, write_remote};
use tranship::{Error, Reference, Result, TagOrDigest};

pub use archive::{DockerArchiveLocation, OciArchiveLocation};
pub use layout::{LayoutLocation, LayoutPath, LayoutRegistryLocation};
pub use object::{ObjectLayoutLocation, ObjectLayoutRegistryLocation};
pub use registry_location::RegistryLocation;
pub use url::ObjectStoreUrl;

/// One repository, wherever it is kept, and perhaps a tag or digest in it.
///
/// | Text | Meaning |
/// |---|---|
/// | `oci:PATH[:TAG\|@DIGEST]` | an image layout in the directory PATH: [`LayoutLocation`] |
/// | `layouts:ROOT//NAME[:TAG\|@DIGEST]` | the image layout NAME in the directory ROOT, which holds one for each repository: [`LayoutRegistryLocation`] |
/// | `oci-archive:FILE[:TAG\|@DIGEST]` | an image layout in a tar: [`OciArchiveLocation`] |
/// | `docker-archive:FILE[:NAME:TAG\|:TAG\|@DIGEST]` | a tar as `docker save` writes it: [`DockerArchiveLocation`] |
/// | `oci:URL[:TAG\|@DIGEST]` | an image layout in an object store, such as `oci:s3://bucket/prefix:v1`: [`ObjectLayoutLocation`] |
/// | `layouts:URL//NAME[:TAG\|@DIGEST]` | the image layout NAME below a prefix of an object store: [`ObjectLayoutRegistryLocation`] |
/// | `HOST/NAME[:TAG\|@DIGEST]` | a repository of a registry: [`Reference`] |
/// | `docker://HOST/NAME[:TAG\|@DIGEST]` | the same, whatever HOST looks like |
///
/// What starts with one of these schemes is never a registry: a host named `oci` with a port needs
/// `docker://` in front. So do a host name that ends with a colon, which would look like a scheme,
/// and one that starts with a `.`, which would look like a path. Nothing looks at the file system.
///
/// # A path and what follows it
///
/// Only the last component of a path can have a tag or a digest behind it, where `/` and `\` both
/// end a component. There, text behind an `@` that begins as a digest does (`sha256:` and the like)
/// is the digest, and text behind the last `:` is the tag. Both must be valid, so that a slip of the
/// pen is an error and not another path. A tag in front of a digest is dropped.
///
/// | Text | Path | Tag or digest |
/// |---|---|---|
/// | `oci:dir` | `dir` | |
/// | `oci:dir:v1` | `dir` | `v1` |
/// | `oci:dir@sha256:…`, `oci:dir:v1@sha256:…` | `dir` | `sha256:…` |
/// | `oci:a:b:v1` | `a:b` | `v1` |
/// | `oci:./a:b/c` | `./a:b/c` | |
/// | `oci:a:b/` | `a:b` | |
/// | `oci:app@1.2:v1` | `app@1.2` | `v1` |
/// | `oci:C:\dir`, `oci:C:/dir:v1` | `C:\dir`, `C:/dir` | none, `v1` |
/// | `oci:`, `oci::v1`, `oci:dir:`, `oci:dir@`, `oci:dir:bad tag`, `oci:dir@sha256:12` | an error | |
/// | `oci://dir` | an error, for others mean a registry by it | |
///
/// A slash behind the path parts it from what would else be a tag. [`Display`](fmt::Display) writes
/// one where it is needed, so that a location always reads back as itself; only paths that are not
/// Unicode do not.
///
/// # A URL and what follows it
///
/// The same goes for URLs, whose grammar [`ObjectStoreUrl`] has. Behind `https://HOST` and
/// `http://HOST` a colon starts the port, so a tag needs a slash in front: `oci:https://host/:v1`.
///
/// # An archive and what follows it
///
/// skopeo and podman end the path at the first colon. Here it ends at the first colon that a tag or
/// the name and tag of an image follows, and nothing else. Where the two would differ without an
/// image's name in sight, the text is an error. As above, a slash behind the path parts it from all
/// that follows; it is not part of the file's name.
///
/// | Text | Path | Image |
/// |---|---|---|
/// | `oci-archive:a.tar:v1`, `docker-archive:a.tar:v1` | `a.tar` | `v1`, whatever its name |
/// | `docker-archive:a.tar:alpine:3` | `a.tar` | `3` of the name `alpine` |
/// | `docker-archive:a.tar:localhost:5000/app:v1` | `a.tar` | `v1` of the name `localhost:5000/app` |
/// | `docker-archive:./a:b/c.tar:alpine:3` | `./a:b/c.tar` | `3` of the name `alpine` |
/// | `docker-archive:./a:b/c.tar:v1` | `./a` | `v1` of the name `b/c.tar` |
/// | `docker-archive:./a:b/c.tar/:v1`, `oci-archive:./a:b/c.tar/:v1` | `./a:b/c.tar` | `v1` |
/// | `docker-archive:C:\a.tar:alpine:3` | `C:\a.tar` | `3` of the name `alpine` |
/// | `docker-archive:a.tar:alpine:3@sha256:…` | `a.tar` | `sha256:…` |
/// | `docker-archive:a.tar:docker.io/library/alpine`, `docker-archive:a.tar:Alpine:3`, `oci-archive:a.tar:alpine:3` | an error | |
///
/// ```
/// use tranship_backends::Location;
///
/// let location: Location = "oci:some/dir:v1".parse()?;
/// let Location::Layout(layout) = &location else { panic!() };
/// assert_eq!(layout.path(), "some/dir");
/// assert_eq!(location.reference().map(ToString::to_string).as_deref(), Some("v1"));
/// assert!(matches!("registry.example/app:v1".parse()?, Location::Remote(_)));
/// # Ok::<(), tranship::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Location {
    /// An image layout on the local disk.
    Layout(LayoutLocation),
    /// One of the image layouts in a directory that serves as a registry.
    LayoutRegistry(LayoutRegistryLocation),
    /// An image layout in a tar on the local disk.
    OciArchive(OciArchiveLocation),
    /// A tar on the local disk, as `docker save` writes it.
    DockerArchive(DockerArchiveLocation),
    /// An image layout in an object store.
    ObjectLayout(ObjectLayoutLocation),
    /// One of the image layouts below a prefix of an object store that serves as a registry.
    ObjectLayoutRegistry(ObjectLayoutRegistryLocation),
    /// A repository of a registry that is reached over the network.
    Remote(Reference),
}

impl Location {
    /// The tag or digest, if one was given.
    #[must_use]
    pub fn reference(&self) -> Option<&TagOrDigest> {
        match self {
            Self::Layout(layout) => layout.reference(),
            Self::LayoutRegistry(layout) => layout.reference(),
            Self::OciArchive(archive) => archive.reference(),
            Self::DockerArchive(archive) => archive.reference(),
            Self::ObjectLayout(layout) => layout.reference(),
            Self::ObjectLayoutRegistry(layout) => layout.reference(),
            Self::Remote(remote) => remote.reference(),
        }
    }

    /// The same repository with another tag or digest.
    #[must_use]
    pub fn with_reference(self, reference: impl Into<TagOrDigest>) -> Self {
        match self {
            Self::Layout(layout) => Self::Layout(layout.with_reference(reference)),
            Self::LayoutRegistry(layout) => Self::LayoutRegistry(layout.with_reference(reference)),
            Self::OciArchive(archive) => Self::OciArchive(archive.with_reference(reference)),
            Self::DockerArchive(archive) => Self::DockerArchive(archive.with_reference(reference)),
            Self::ObjectLayout(layout) => Self::ObjectLayout(layout.with_reference(reference)),
            Self::ObjectLayoutRegistry(layout) => {
                Self::ObjectLayoutRegistry(layout.with_reference(reference))
            }
            Self::Remote(remote) => Self::Remote(remote.with_reference(reference)),
        }
    }

    /// The repository alone.
    #[must_use]
    pub fn without_reference(self) -> Self {
        match self {
            Self::Layout(layout) => Self::Layout(layout.without_reference()),
            Self::LayoutRegistry(layout) => Self::LayoutRegistry(layout.without_reference()),
            Self::OciArchive(archive) => Self::OciArchive(archive.without_reference()),
            Self::DockerArchive(archive) => Self::DockerArchive(archive.without_reference()),
            Self::ObjectLayout(layout) => Self::ObjectLayout(layout.without_reference()),
            Self::ObjectLayoutRegistry(layout) => {
                Self::ObjectLayoutRegistry(layout.without_reference())
            }
            Self::Remote(remote) => Self::Remote(remote.without_reference()),
        }
    }
}

impl From<LayoutLocation> for Location {
    fn from(layout: LayoutLocation) -> Self {
        Self::Layout(layout)
    }
}

impl From<LayoutRegistryLocation> for Location {
    fn from(layout: LayoutRegistryLocation) -> Self {
        Self::LayoutRegistry(layout)
    }
}

impl From<OciArchiveLocation> for Location {
    fn from(archive: OciArchiveLocation) -> Self {
        Self::OciArchive(archive)
    }
}

impl From<DockerArchiveLocation> for Location {
    fn from(archive: DockerArchiveLocation) -> Self {
        Self::DockerArchive(archive)
    }
}

impl From<ObjectLayoutLocation> for Location {
    fn from(layout: ObjectLayoutLocation) -> Self {
        Self::ObjectLayout(layout)
    }
}

impl From<ObjectLayoutRegistryLocation> for Location {
    fn from(layout: ObjectLayoutRegistryLocation) -> Self {
        Self::ObjectLayoutRegistry(layout)
    }
}

impl From<Reference> for Location {
    fn from(remote: Reference) -> Self {
        Self::Remote(remote)
    }
}

impl FromStr for Location {
    type Err = Error;

    /// Reads a location.
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidReference`](tranship::ErrorKind::InvalidReference) if the text is malformed.
    /// - [`ErrorKind::InvalidInput`](tranship::ErrorKind::InvalidInput) if a path is empty or starts with `//`, or a URL stands where
    ///   only a path can.
    /// - [`ErrorKind::Unsupported`](tranship::ErrorKind::Unsupported) if a layout is named by a URL that no object store has.
    fn from_str(text: &str) -> Result<Self> {
        Self::read(text).map_err(|error| match foreign::hint(text) {
            Some(hint) => {
                let error = match foreign::scheme(text) {
                    Some(scheme) => unknown_kind(text, scheme),
                    None => error,
                };
                // A hint must not repeat a secret in a URL.
                if text.contains("://") && text.contains(['@', '?']) {
                    error
                } else {
                    error.with_hint(hint)
                }
            }
            None => error,
        })
    }
}

impl Location {
    fn read(text: &str) -> Result<Self> {
        match Scheme::of(text)? {
            Scheme::Oci(rest) => rest.parse().map(Self::Layout),
            Scheme::Layouts(rest) => rest.parse().map(Self::LayoutRegistry),
            Scheme::OciArchive(rest) => rest.parse().map(Self::OciArchive),
            Scheme::DockerArchive(rest) => rest.parse().map(Self::DockerArchive),
            Scheme::ObjectLayout(rest) => rest.parse().map(Self::ObjectLayout),
            Scheme::ObjectLayouts(rest) => rest.parse().map(Self::ObjectLayoutRegistry),
            Scheme::Remote(rest) => {
                rest.parse()
                    .map(Self::Remote)
                    .map_err(|error: Error| match error.hint() {
                        Some(hint) if !rest.contains('/') => {
                            let hint = format!("{hint}; an image layout is written oci:PATH");
                            error.with_hint(hint)
                        }
                        _ => error,
                    })
            }
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout(layout) => write!(f, "oci:{layout}"),
            Self::LayoutRegistry(layout) => write!(f, "layouts:{layout}"),
            Self::OciArchive(archive) => write!(f, "oci-archive:{archive}"),
            Self::DockerArchive(archive) => write!(f, "docker-archive:{archive}"),
            Self::ObjectLayout(layout) => write!(f, "oci:{layout}"),
            Self::ObjectLayoutRegistry(layout) => write!(f, "layouts:{layout}"),
            Self::Remote(remote) => write_remote(f, &remote.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
