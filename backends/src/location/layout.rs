//! Image layouts on a disk, alone or many in one directory.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tranship::{Error, ErrorKind, Printable, RepositoryName, Result, TagOrDigest};

use super::suffix::{self, Suffix, invalid, tag_or_digest};
use super::url::{redacted, url_scheme};

/// A path on the local disk that can name an image layout, a directory of them, or an archive.
///
/// It is not empty, and starts neither with two slashes nor as a URL does, such as `s3:` with slashes or
/// nothing behind: all of that means something else in a [`Location`](crate::Location).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LayoutPath(PathBuf);

impl LayoutPath {
    /// Checks a path; nothing looks at the file system.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the path is empty, or starts with `//` or as a URL.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let text = path.to_string_lossy();
        let invalid = |why| {
            Error::new(ErrorKind::InvalidInput, why).with_subject(Printable(&redacted(&text)))
        };
        if text.is_empty() {
            return Err(invalid("the path is empty"));
        }
        if text.starts_with("//") {
            return Err(
                invalid("a path cannot start with two slashes here").with_hint(
                    "leave out the scheme to name a registry, and one slash to name a path",
                ),
            );
        }
        // In front of the two slashes of `layouts:ROOT//NAME` also `s3:` begins a URL.
        match url_scheme(&format!("{text}//")) {
            None => {}
            Some("file") => {
                return Err(
                    invalid("a path is meant, and this is a URL").with_hint("write the path alone")
                );
            }
            Some(_) => {
                return Err(invalid(
                    "a path on the local disk is meant, and this begins as a URL does",
                )
                .with_hint("write ./ in front of a path"));
            }
        }
        Ok(Self(path))
    }

    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for LayoutPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl TryFrom<PathBuf> for LayoutPath {
    type Error = Error;

    fn try_from(path: PathBuf) -> Result<Self> {
        Self::new(path)
    }
}

impl FromStr for LayoutPath {
    type Err = Error;

    /// Takes the whole text as a path: [`LayoutPath::new`].
    ///
    /// # Errors
    /// Those of [`LayoutPath::new`].
    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl fmt::Display for LayoutPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

/// An image layout in a directory: the part behind `oci:` of a [`Location`](crate::Location).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LayoutLocation {
    path: LayoutPath,
    reference: Option<TagOrDigest>,
}

impl LayoutLocation {
    /// The layout at `path`, and perhaps a tag or digest in it.
    #[must_use]
    pub fn new(path: LayoutPath, reference: Option<TagOrDigest>) -> Self {
        Self { path, reference }
    }

    /// The directory of the layout, which holds its `index.json`.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.path.as_path()
    }

    tag_or_digest!("layout", "repository");
}

impl FromStr for LayoutLocation {
    type Err = Error;

    /// Reads `PATH[:TAG|@DIGEST]`, as the table of [`Location`](crate::Location) says.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidReference`] for a bad tag or digest, and those of [`LayoutPath::new`].
    fn from_str(text: &str) -> Result<Self> {
        let (path, reference) = suffix::split(text)?;
        Ok(Self::new(path.parse()?, reference))
    }
}

impl fmt::Display for LayoutLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        suffix::write_behind(f, &self.path.to_string(), self.reference(), suffix::split)
    }
}

/// One of the image layouts in a directory that serves as a registry: the part behind `layouts:` of
/// a [`Location`](crate::Location).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LayoutRegistryLocation {
    root: LayoutPath,
    repository: RepositoryName,
    reference: Option<TagOrDigest>,
}

impl LayoutRegistryLocation {
    /// The layout of `repository` in the directory `root`, and perhaps a tag or digest in it.
    #[must_use]
    pub fn new(
        root: LayoutPath,
        repository: RepositoryName,
        reference: Option<TagOrDigest>,
    ) -> Self {
        Self {
            root,
            repository,
            reference,
        }
    }

    /// The directory in which the layouts lie.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.as_path()
    }

    /// The repository.
    #[must_use]
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    tag_or_digest!("repository", "repository");
}

impl FromStr for LayoutRegistryLocation {
    type Err = Error;

    /// Reads `ROOT//NAME[:TAG|@DIGEST]`, where the last `//` ends the root.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidReference`] for a missing or bad name, tag or digest, and those of
    /// [`LayoutPath::new`].
    fn from_str(text: &str) -> Result<Self> {
        let Some((root, name)) = text.rsplit_once("//") else {
            return Err(
                invalid(text, "the name of the repository is missing").with_hint(
                    "write layouts:ROOT//NAME, with :TAG or @DIGEST behind it where one is meant",
                ),
            );
        };
        let (repository, reference) = suffix::split(name)?;
        Ok(Self::new(root.parse()?, repository.parse()?, reference))
    }
}

impl fmt::Display for LayoutRegistryLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = Suffix(self.reference());
        write!(f, "{}//{}{suffix}", self.root, self.repository)
    }
}
