//! Image layouts on a disk, alone or many in one directory.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};
use crate::printable::Printable;
use crate::reference::{RepositoryName, Tag, TagOrDigest, without_user_information};

/// A path that can name an image layout, or a directory of them.
///
/// It is not empty, starts with no two slashes and is no URL, all of which mean something else in a
/// [`Location`](crate::Location).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LayoutPath(PathBuf);

impl LayoutPath {
    /// Checks a path; nothing looks at the file system.
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidInput`] if the path is empty or starts with `//`.
    /// - [`ErrorKind::Unsupported`] if it is a URL.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let text = path.to_string_lossy();
        let error = if text.is_empty() {
            Error::new(ErrorKind::InvalidInput, "the path of the layout is empty")
        } else if text.starts_with("//") {
            Error::new(
                ErrorKind::InvalidInput,
                "the path of a layout cannot start with two slashes",
            )
            .with_hint("leave out the scheme to name a registry, and one slash to name a layout")
        } else if let Some(scheme) = url_scheme(&text) {
            let error = Error::unsupported(format!("a layout at {scheme}:// is not supported yet"));
            match scheme {
                "file" => error.with_hint("write the path alone"),
                _ => error,
            }
        } else {
            return Ok(Self(path));
        };
        Err(error.with_subject(Printable(&without_user_information(&text))))
    }

    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

// One letter is the drive of a Windows path.
fn url_scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte));
    is_scheme.then_some(scheme)
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

    /// The tag or digest, if one was given.
    #[must_use]
    pub fn reference(&self) -> Option<&TagOrDigest> {
        self.reference.as_ref()
    }

    /// The same layout with another tag or digest.
    #[must_use]
    pub fn with_reference(mut self, reference: impl Into<TagOrDigest>) -> Self {
        self.reference = Some(reference.into());
        self
    }

    /// The repository alone.
    #[must_use]
    pub fn without_reference(mut self) -> Self {
        self.reference = None;
        self
    }
}

impl FromStr for LayoutLocation {
    type Err = Error;

    /// Reads `PATH[:TAG|@DIGEST]`, as the table of [`Location`](crate::Location) says.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidReference`] for a bad tag or digest, and those of [`LayoutPath::new`].
    fn from_str(text: &str) -> Result<Self> {
        let (path, reference) = split(text)?;
        Ok(Self::new(path.parse()?, reference))
    }
}

impl fmt::Display for LayoutLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.to_string();
        let suffix = suffix(self.reference());
        let is_plain = split(&format!("{path}{suffix}"))
            .is_ok_and(|(head, reference)| head == path && reference == self.reference);
        let slash = if is_plain { "" } else { "/" };
        write!(f, "{path}{slash}{suffix}")
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

    /// The tag or digest, if one was given.
    #[must_use]
    pub fn reference(&self) -> Option<&TagOrDigest> {
        self.reference.as_ref()
    }

    /// The same repository with another tag or digest.
    #[must_use]
    pub fn with_reference(mut self, reference: impl Into<TagOrDigest>) -> Self {
        self.reference = Some(reference.into());
        self
    }

    /// The repository alone.
    #[must_use]
    pub fn without_reference(mut self) -> Self {
        self.reference = None;
        self
    }
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
        let (repository, reference) = split(name)?;
        Ok(Self::new(root.parse()?, repository.parse()?, reference))
    }
}

impl fmt::Display for LayoutRegistryLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = suffix(self.reference());
        write!(f, "{}//{}{suffix}", self.root, self.repository)
    }
}

fn suffix(reference: Option<&TagOrDigest>) -> String {
    match reference {
        None => String::new(),
        Some(TagOrDigest::Tag(tag)) => format!(":{tag}"),
        Some(TagOrDigest::Digest(digest)) => format!("@{digest}"),
    }
}

/// Takes the tag or digest off the last component of a path.
fn split(text: &str) -> Result<(&str, Option<TagOrDigest>)> {
    let start = text.rfind(['/', '\\']).map_or(0, |slash| slash + 1);
    let last = &text[start..];
    let digest_at = last
        .match_indices('@')
        .map(|(at, _)| at)
        .find(|at| begins_as_digest(&last[at + 1..]));
    let tagged = &last[..digest_at.unwrap_or(last.len())];
    let (name, tag) = match tagged.rsplit_once(':') {
        None => (tagged, None),
        Some((_, "")) => {
            let why = "the tag behind the last colon is empty";
            return Err(invalid(text, why)
                .with_hint("a path that ends with a colon needs a slash behind it"));
        }
        Some((name, tag)) => (name, Some(tag.parse::<Tag>()?)),
    };
    let reference = match digest_at {
        Some(at) => Some(last[at + 1..].parse()?),
        None => tag.map(TagOrDigest::Tag),
    };
    Ok((&text[..start + name.len()], reference))
}

/// Whether text behind an `@` is meant as a digest. Nothing at all is one left out by mistake.
fn begins_as_digest(text: &str) -> bool {
    const FAMILIES: [&str; 6] = ["sha1", "sha2", "sha3", "sha5", "md5", "blake"];
    let Some((algorithm, _)) = text.split_once(':') else {
        return text.is_empty();
    };
    let algorithm = algorithm.to_ascii_lowercase();
    FAMILIES.iter().any(|family| algorithm.starts_with(family))
}

fn invalid(text: &str, why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidReference, why).with_subject(Printable(text))
}
