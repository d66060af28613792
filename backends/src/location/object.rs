//! Image layouts in object stores, alone or many below one prefix.

use std::fmt;
use std::str::FromStr;

use tranship::{Error, RepositoryName, Result, TagOrDigest};

use super::suffix::{self, Suffix, tag_or_digest};
use super::url::{self, ObjectStoreUrl};

/// An image layout in an object store: the part behind `oci:` of a [`Location`](crate::Location)
/// that is a URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectLayoutLocation {
    url: ObjectStoreUrl,
    reference: Option<TagOrDigest>,
}

impl ObjectLayoutLocation {
    /// The layout at `url`, and perhaps a tag or digest in it.
    #[must_use]
    pub fn new(url: ObjectStoreUrl, reference: Option<TagOrDigest>) -> Self {
        Self { url, reference }
    }

    /// The prefix of the layout, below which its `index.json` lies.
    #[must_use]
    pub fn url(&self) -> &ObjectStoreUrl {
        &self.url
    }

    tag_or_digest!("layout", "repository");
}

impl FromStr for ObjectLayoutLocation {
    type Err = Error;

    /// Reads `URL[:TAG|@DIGEST]`, as the table of [`Location`](crate::Location) says.
    ///
    /// # Errors
    /// [`InvalidReference`](tranship::ErrorKind::InvalidReference) for a bad tag or digest, and those of
    /// [`ObjectStoreUrl::from_str`].
    fn from_str(text: &str) -> Result<Self> {
        let (url, reference) = url::split(text)?;
        Ok(Self::new(url.parse()?, reference))
    }
}

impl fmt::Display for ObjectLayoutLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        suffix::write_behind(f, self.url.as_str(), self.reference(), url::split)
    }
}

/// One of the image layouts below a prefix that serves as a registry: the part behind `layouts:` of a
/// [`Location`](crate::Location) that begins with a URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectLayoutRegistryLocation {
    root: ObjectStoreUrl,
    repository: RepositoryName,
    reference: Option<TagOrDigest>,
}

impl ObjectLayoutRegistryLocation {
    /// The layout of `repository` below `root`, and perhaps a tag or digest in it.
    #[must_use]
    pub fn new(
        root: ObjectStoreUrl,
        repository: RepositoryName,
        reference: Option<TagOrDigest>,
    ) -> Self {
        Self {
            root,
            repository,
            reference,
        }
    }

    /// The prefix below which the layouts lie.
    #[must_use]
    pub fn root(&self) -> &ObjectStoreUrl {
        &self.root
    }

    /// The repository.
    #[must_use]
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    tag_or_digest!("repository", "repository");
}

impl FromStr for ObjectLayoutRegistryLocation {
    type Err = Error;

    /// Reads `URL//NAME[:TAG|@DIGEST]`, where the last `//` ends the URL.
    ///
    /// # Errors
    /// [`InvalidReference`](tranship::ErrorKind::InvalidReference) for a missing or bad name, tag or
    /// digest, and those of [`ObjectStoreUrl::from_str`].
    fn from_str(text: &str) -> Result<Self> {
        let (_, rest) = url::split_scheme(text)?;
        let Some((_, name)) = rest.rsplit_once("//") else {
            return Err(
                url::invalid(text, "the name of the repository is missing").with_hint(
                    "write layouts:URL//NAME, with :TAG or @DIGEST behind it where one is meant",
                ),
            );
        };
        let root = &text[..text.len() - name.len() - "//".len()];
        let (repository, reference) = suffix::split(name)?;
        Ok(Self::new(root.parse()?, repository.parse()?, reference))
    }
}

impl fmt::Display for ObjectLayoutRegistryLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = Suffix(self.reference());
        write!(f, "{}//{}{suffix}", self.root, self.repository)
    }
}
