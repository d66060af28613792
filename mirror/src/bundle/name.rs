//! The name of a repository inside a bundle.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use tranship::{Error, ErrorKind, Printable, RegistryName, RepositoryName, Result, Tag};

/// The longest name, in bytes.
const MAX_LENGTH: usize = 4096;

/// The name of a repository inside a bundle: where its images come from, such as `docker.io/library/alpine`,
/// `localhost:5000/team/app`, or `team/app` for a source that is not a registry with a host.
///
/// The text is the identity. Its first component is the registry if it has a dot or a colon or is `localhost`, and if
/// another component follows.
///
/// ```
/// use tranship_mirror::bundle::BundleName;
///
/// let name: BundleName = "localhost:5000/team/app".parse()?;
/// assert_eq!(name.registry().map(|registry| registry.to_string()), Some("localhost:5000".into()));
/// assert_eq!(name.repository().as_str(), "team/app");
/// assert_eq!(name.flattened().as_str(), "localhost-5000/team/app");
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleName {
    text: Arc<str>,
    repository: RepositoryName,
}

impl BundleName {
    /// Returns the name of the repository `repository` of `registry`, or of a source that does not have a host.
    ///
    /// # Errors
    /// [`InvalidReference`](ErrorKind::InvalidReference) if it has more than 4,096 bytes.
    pub fn new(registry: Option<&RegistryName>, repository: &RepositoryName) -> Result<Self> {
        match registry {
            Some(registry) => format!("{registry}/{repository}").parse(),
            None => repository.as_str().parse(),
        }
    }

    /// Returns the whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the registry, if the name has one.
    #[must_use]
    pub fn registry(&self) -> Option<RegistryName> {
        let length = self
            .text
            .len()
            .checked_sub(self.repository.as_str().len() + 1)?;
        self.text.get(..length)?.parse().ok()
    }

    /// Returns the name within the registry.
    #[must_use]
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// Returns the whole name as that of a repository: in lower case, and with a dash in place of each character of the
    /// registry that a repository's name cannot have, such as the colon before a port. Two names may become one.
    #[must_use]
    pub fn flattened(&self) -> RepositoryName {
        let Some(registry) = self.registry() else {
            return self.repository.clone();
        };
        let lower = registry.as_str().to_ascii_lowercase();
        let dashed = lower.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
        let host = dashed.trim_matches(['-', '.']);
        let whole = format!("{host}/{}", self.repository);
        whole.parse().unwrap_or_else(|_| self.repository.clone())
    }

    /// Returns the name of an image as people write it, such as `docker.io/library/alpine:3.19`.
    pub(super) fn with_tag(&self, tag: &Tag) -> String {
        format!("{self}:{tag}")
    }
}

/// Returns whether the first component of a name is that of a registry. This is the rule of Docker.
fn is_registry(component: &str) -> bool {
    component.contains(['.', ':']) || component == "localhost"
}

impl FromStr for BundleName {
    type Err = Error;

    /// Reads a name.
    ///
    /// # Errors
    /// [`InvalidReference`](ErrorKind::InvalidReference) if it is not the name of a repository, with or without a
    /// registry before it.
    fn from_str(text: &str) -> Result<Self> {
        if text.len() > MAX_LENGTH {
            let message = format!("a name in a bundle has at most {MAX_LENGTH} bytes");
            return Err(Error::new(ErrorKind::InvalidReference, message));
        }
        let repository = match text.split_once('/') {
            Some((registry, repository)) if is_registry(registry) => {
                let registry = registry.parse::<RegistryName>();
                registry.map_err(|error| error.with_subject(Printable(text)))?;
                repository
            }
            _ => text,
        };
        Ok(Self {
            text: text.into(),
            repository: repository.parse()?,
        })
    }
}

impl fmt::Display for BundleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_component_is_a_registry_if_it_looks_like_a_host() {
        for (text, registry, repository, flattened) in [
            (
                "docker.io/library/alpine",
                Some("docker.io"),
                "library/alpine",
                "docker.io/library/alpine",
            ),
            ("localhost/app", Some("localhost"), "app", "localhost/app"),
            (
                "Host.example:5000/a/b",
                Some("Host.example:5000"),
                "a/b",
                "host.example-5000/a/b",
            ),
            ("[::1]:5000/a", Some("[::1]:5000"), "a", "1--5000/a"),
            ("team/app", None, "team/app", "team/app"),
            ("my.app", None, "my.app", "my.app"),
            (":5000/a", Some(":5000"), "a", "5000/a"),
            ("../a", Some(".."), "a", "a"),
        ] {
            let name: BundleName = text.parse().expect("a name");
            assert_eq!(
                name.registry().as_ref().map(RegistryName::as_str),
                registry,
                "{text}"
            );
            assert_eq!(name.repository().as_str(), repository);
            assert_eq!(name.flattened().as_str(), flattened);
            assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "/a",
            "docker.io/",
            "docker.io/A",
            "a//b",
            "a b/c",
            "x@y.example/a",
        ] {
            assert!(text.parse::<BundleName>().is_err(), "{text}");
        }
        assert!("a/".repeat(4000).parse::<BundleName>().is_err());
    }
}
