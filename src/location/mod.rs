//! Where content lies: the strings that the command line and programs take.

mod layout;
mod registry_location;

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};
use crate::printable::Printable;
use crate::reference::{Reference, TagOrDigest, without_user_information};

pub use layout::{LayoutLocation, LayoutPath, LayoutRegistryLocation};
pub use registry_location::RegistryLocation;

/// One repository, wherever it is kept, and perhaps a tag or digest in it.
///
/// | Text | Meaning |
/// |---|---|
/// | `oci:PATH[:TAG\|@DIGEST]` | an image layout in the directory PATH: [`LayoutLocation`] |
/// | `layouts:ROOT//NAME[:TAG\|@DIGEST]` | the image layout NAME in the directory ROOT, which holds one for each repository: [`LayoutRegistryLocation`] |
/// | `HOST/NAME[:TAG\|@DIGEST]` | a repository of a registry: [`Reference`] |
/// | `docker://HOST/NAME[:TAG\|@DIGEST]` | the same, whatever HOST looks like |
/// | `oci-archive:…`, `docker-archive:…`, `oci:s3://…` and other URLs | [`ErrorKind::Unsupported`] so far |
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
/// ```
/// use tranship::Location;
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
            Self::Remote(remote) => remote.reference(),
        }
    }

    /// The same repository with another tag or digest.
    #[must_use]
    pub fn with_reference(self, reference: impl Into<TagOrDigest>) -> Self {
        match self {
            Self::Layout(layout) => Self::Layout(layout.with_reference(reference)),
            Self::LayoutRegistry(layout) => Self::LayoutRegistry(layout.with_reference(reference)),
            Self::Remote(remote) => Self::Remote(remote.with_reference(reference)),
        }
    }

    /// The repository alone.
    #[must_use]
    pub fn without_reference(self) -> Self {
        match self {
            Self::Layout(layout) => Self::Layout(layout.without_reference()),
            Self::LayoutRegistry(layout) => Self::LayoutRegistry(layout.without_reference()),
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
    /// - [`ErrorKind::InvalidReference`] if the text is malformed.
    /// - [`ErrorKind::InvalidInput`] if the path of a layout is empty or starts with `//`.
    /// - [`ErrorKind::Unsupported`] if it names a kind of place that cannot be read yet.
    fn from_str(text: &str) -> Result<Self> {
        match Scheme::of(text)? {
            Scheme::Oci(rest) => rest.parse().map(Self::Layout),
            Scheme::Layouts(rest) => rest.parse().map(Self::LayoutRegistry),
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
            Self::Remote(remote) => write_remote(f, &remote.to_string()),
        }
    }
}

/// The text behind its scheme.
enum Scheme<'a> {
    Oci(&'a str),
    Layouts(&'a str),
    Remote(&'a str),
}

impl<'a> Scheme<'a> {
    fn of(text: &'a str) -> Result<Self> {
        let invalid = |why: String| {
            Error::new(ErrorKind::InvalidReference, why)
                .with_subject(Printable(&without_user_information(text)))
        };
        let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
        match (scheme, rest) {
            ("oci", rest) => Ok(Self::Oci(rest)),
            ("layouts", rest) => Ok(Self::Layouts(rest)),
            ("oci-archive" | "docker-archive", _) => Err(Error::unsupported(format!(
                "{scheme}: is not supported yet"
            ))
            .with_subject(Printable(text))),
            ("docker", rest) if rest.starts_with("//") => Ok(Self::Remote(&rest[2..])),
            _ if is_path(text) => Err(invalid("a path is no location by itself".into())
                .with_hint("to name a layout write oci:PATH")),
            // Else `dir:/some/path` would be the host `dir` with an empty port.
            (scheme, rest) if !scheme.is_empty() && rest.starts_with(['/', '\\']) => {
                Err(invalid(format!("{}: is no scheme known here", Printable(scheme)))
                    .with_hint("a registry is written without a scheme, as in registry.example/name:tag, and a layout as oci:PATH"))
            }
            _ => Ok(Self::Remote(text)),
        }
    }
}

fn is_path(text: &str) -> bool {
    text.starts_with(['.', '/', '\\', '~'])
        || matches!(
            text.as_bytes(),
            [b'A'..=b'Z' | b'a'..=b'z', b':', b'/' | b'\\', ..]
        )
}

/// Writes a host, and perhaps what follows it, so that it is read as one.
fn write_remote(f: &mut fmt::Formatter<'_>, remote: &str) -> fmt::Result {
    match Scheme::of(remote) {
        Ok(Scheme::Remote(text)) if text == remote => f.write_str(remote),
        _ => write!(f, "docker://{remote}"),
    }
}

#[cfg(test)]
mod tests;
