//! Where a registry lies, without any of its repositories.

use std::fmt;
use std::str::FromStr;

use tranship::{Error, ErrorKind, Printable, RegistryName, Result};

use super::layout::LayoutPath;
use super::scheme::{Scheme, write_remote};
use super::url::ObjectStoreUrl;
use super::url::redacted;

/// One registry, wherever it is kept: what a [`Location`](crate::Location) has in front of the
/// repository.
///
/// | Text | Meaning |
/// |---|---|
/// | `layouts:ROOT` | the directory ROOT, which holds an image layout for each repository |
/// | `layouts:URL` | the same below a prefix of an object store, such as `layouts:s3://bucket/root` |
/// | `HOST` | a registry that is reached over the network |
/// | `docker://HOST` | the same, whatever HOST looks like |
/// | `oci:PATH`, `oci:URL`, `oci-archive:FILE`, `docker-archive:FILE` | an error: each is one repository |
///
/// ```
/// use tranship_backends::RegistryLocation;
///
/// assert!(matches!("localhost:5000".parse()?, RegistryLocation::Remote(_)));
/// assert!(matches!("layouts:some/dir".parse()?, RegistryLocation::LayoutRegistry(_)));
/// # Ok::<(), tranship::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RegistryLocation {
    /// A directory that serves as a registry, with an image layout for each repository.
    LayoutRegistry(LayoutPath),
    /// A prefix of an object store that serves as a registry, with an image layout for each
    /// repository.
    ObjectLayoutRegistry(ObjectStoreUrl),
    /// A registry that is reached over the network.
    Remote(RegistryName),
}

impl FromStr for RegistryLocation {
    type Err = Error;

    /// Reads the location of a registry.
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidReference`] if the text is malformed, or names a repository.
    /// - [`ErrorKind::InvalidInput`] if the path is empty or starts with two slashes.
    /// - [`ErrorKind::Unsupported`] if the URL is that of no object store.
    fn from_str(text: &str) -> Result<Self> {
        let invalid = |why| {
            Error::new(ErrorKind::InvalidReference, why).with_subject(Printable(&redacted(text)))
        };
        match Scheme::of(text)? {
            Scheme::Layouts(root) => root.parse().map(Self::LayoutRegistry),
            Scheme::ObjectLayouts(root) => root.parse().map(Self::ObjectLayoutRegistry),
            Scheme::Oci(_) => Err(invalid("a single layout is a repository, not a registry")
                .with_hint("to name a directory of layouts write layouts:ROOT")),
            Scheme::ObjectLayout(_) => {
                Err(invalid("a single layout is a repository, not a registry")
                    .with_hint("to name a prefix with layouts below it write layouts:URL"))
            }
            Scheme::OciArchive(_) | Scheme::DockerArchive(_) => {
                Err(invalid("an archive is a repository, not a registry"))
            }
            Scheme::Remote(host) if host.contains('/') => {
                Err(invalid("a registry is named without a repository"))
            }
            Scheme::Remote(host) => host.parse().map(Self::Remote),
        }
    }
}

impl fmt::Display for RegistryLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LayoutRegistry(root) => write!(f, "layouts:{root}"),
            Self::ObjectLayoutRegistry(root) => write!(f, "layouts:{root}"),
            Self::Remote(registry) => write_remote(f, registry.as_str()),
        }
    }
}
