//! References: which registry, which repository, and which tag or digest in it.

#[macro_use]
mod plumbing;
mod redaction;
mod registry_name;
mod repository_name;
mod tag;

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use redaction::invalid;

pub use redaction::without_user_information;
pub use registry_name::RegistryName;
pub use repository_name::RepositoryName;
pub use tag::{Tag, TagOrDigest};

const FORMS: &str = "write REGISTRY/REPOSITORY, with :TAG or @DIGEST behind it where one is meant, such as docker.io/library/alpine:3";

/// A name in a registry: `registry/repository`, with a tag or a digest or neither.
///
/// | Form | Text | [`reference`](Self::reference) |
/// |---|---|---|
/// | A | `registry/repository@digest` | the digest |
/// | B | `registry/repository:tag@digest` | the digest; the tag is dropped and need not be a valid one |
/// | C | `registry/repository:tag` | the tag |
/// | D | `registry/repository` | `None`; so it is too where nothing follows the `:` or `@` |
///
/// The text up to the first `/` is the registry. Nothing is guessed: there is no default registry,
/// no `library/` is put in front, and no tag is implied, but for the one that
/// [`reference_or_default`](Self::reference_or_default) answers. Text that is not ASCII is refused
/// everywhere. Names are compared byte by byte.
///
/// This is the counterpart of `registry.Reference` of ORAS Go. Since its parts cannot hold a wrong
/// value, each of the functions there that check one is a [`FromStr`] here:
///
/// | Go | Rust |
/// |---|---|
/// | `ParseReference`, `Reference.Validate` | `Reference::from_str` |
/// | `Reference.ValidateRegistry` | `RegistryName::from_str` |
/// | `Reference.ValidateRepository` | `RepositoryName::from_str` |
/// | `Reference.ValidateReference` | `TagOrDigest::from_str`, which refuses the empty text: that is `None` here |
/// | `Reference.ValidateReferenceAsTag` | `Tag::from_str` |
/// | `Reference.ValidateReferenceAsDigest` | `Digest::from_str` |
/// | `Reference.Host` | [`Reference::host`] |
/// | `Reference.ReferenceOrDefault` | [`Reference::reference_or_default`] |
/// | `Repository.ParseReference` | [`Reference::resolve_within`] |
///
/// ```
/// use tranship::Reference;
///
/// let reference: Reference = "docker.io/library/alpine:3".parse()?;
/// assert_eq!(reference.registry().as_str(), "docker.io");
/// assert_eq!(reference.repository().as_str(), "library/alpine");
/// assert_eq!(reference.reference_or_default().to_string(), "3");
/// assert_eq!(reference.host(), "registry-1.docker.io");
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: RegistryName,
    repository: RepositoryName,
    reference: Option<TagOrDigest>,
}

impl Reference {
    /// Puts a reference together from its parts.
    #[must_use]
    pub fn new(
        registry: RegistryName,
        repository: RepositoryName,
        reference: Option<TagOrDigest>,
    ) -> Self {
        Self {
            registry,
            repository,
            reference,
        }
    }

    /// The registry, as it was written.
    #[must_use]
    pub fn registry(&self) -> &RegistryName {
        &self.registry
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

    /// The tag or digest, and the tag `latest` where none was given.
    #[must_use]
    pub fn reference_or_default(&self) -> TagOrDigest {
        self.reference
            .clone()
            .unwrap_or_else(|| Tag::latest().into())
    }

    /// The host to dial, with the port if there is one: [`RegistryName::host`].
    #[must_use]
    pub fn host(&self) -> &str {
        self.registry.host()
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

    /// Reads `text`, which stands beside this repository: a tag, a digest, `tag@digest`, or a full
    /// reference that names this very repository. The tag or digest of `self` plays no part.
    ///
    /// As in [form B](Self), a tag in front of a digest is dropped and need not be a valid one. Text
    /// with a `/` is always a full reference; ORAS Go instead takes the digest of a reference whose
    /// repository is malformed, whichever registry stands in front of it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidReference`](crate::ErrorKind::InvalidReference) if `text` is none of these, names another registry or
    /// repository, or has no tag or digest.
    ///
    /// ```
    /// use tranship::Reference;
    ///
    /// let repository: Reference = "registry.example/app".parse()?;
    /// let tagged = repository.resolve_within("v1")?;
    /// assert_eq!(tagged.to_string(), "registry.example/app:v1");
    /// assert_eq!(repository.resolve_within("registry.example/app:v1")?, tagged);
    /// assert!(repository.resolve_within("registry.example/other:v1").is_err());
    /// # Ok::<(), tranship::Error>(())
    /// ```
    pub fn resolve_within(&self, text: &str) -> Result<Self> {
        if !text.contains('/') {
            let reference: TagOrDigest = match text.split_once('@') {
                Some((tag, digest)) => digest_after_tag(tag, digest)?.into(),
                None => text.parse()?,
            };
            return Ok(self.clone().with_reference(reference));
        }
        let full: Self = text.parse()?;
        if (&full.registry, &full.repository) != (&self.registry, &self.repository) {
            return Err(invalid(
                text,
                format!(
                    "the reference names another repository than {}/{}",
                    self.registry, self.repository
                ),
            ));
        }
        if full.reference.is_none() {
            return Err(invalid(text, "the reference has no tag and no digest"));
        }
        Ok(full)
    }
}

impl FromStr for Reference {
    type Err = Error;

    /// Reads one of the [four forms](Reference).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidReference`](crate::ErrorKind::InvalidReference) if a part is missing or malformed. Where that part is a
    /// digest, the source says what is wrong with it.
    fn from_str(text: &str) -> Result<Self> {
        let Some((registry, path)) = text.split_once('/') else {
            return Err(incomplete(text));
        };
        if registry.ends_with(':') && path.starts_with('/') {
            return Err(
                invalid(text, "the repository name cannot start with a slash")
                    .with_hint("leave out the scheme: registry.example/name:tag"),
            );
        }
        let registry = registry.parse().map_err(with_forms)?;
        let (tagged, digest) = match path.split_once('@') {
            Some((tagged, digest)) => (tagged, Some(digest)),
            None => (path, None),
        };
        let (name, tag) = tagged.split_once(':').unwrap_or((tagged, ""));
        let repository = name.parse().map_err(with_forms)?;
        let reference = match (tag, digest) {
            ("", None) => None,
            (tag, None) => Some(TagOrDigest::Tag(tag.parse()?)),
            (tag, Some("")) if tag.is_ascii() => None,
            (tag, Some(digest)) => Some(digest_after_tag(tag, digest)?.into()),
        };
        Ok(Self::new(registry, repository, reference))
    }
}

/// Reads the digest behind an `@`, in front of which a tag may stand that is not looked at, as in
/// ORAS Go, except that nothing here takes text that is not ASCII.
fn digest_after_tag(tag: &str, digest: &str) -> Result<crate::Digest> {
    if !tag.is_ascii() {
        return Err(invalid(tag, "the tag is not ASCII"));
    }
    tag::parse_digest(digest)
}

fn incomplete(text: &str) -> Error {
    let error = invalid(text, "the registry or the repository is missing");
    let on_docker_hub = format!("docker.io/library/{text}");
    let name = text.split([':', '@']).next().unwrap_or(text);
    let is_host = name == "localhost" || name.contains('.');
    if !is_host && on_docker_hub.parse::<Reference>().is_ok() {
        error.with_hint(format!(
            "name the registry too, such as {on_docker_hub} on Docker Hub"
        ))
    } else {
        error.with_hint(FORMS)
    }
}

fn with_forms(error: Error) -> Error {
    error.with_hint(FORMS)
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        match &self.reference {
            None => Ok(()),
            Some(TagOrDigest::Tag(tag)) => write!(f, ":{tag}"),
            Some(TagOrDigest::Digest(digest)) => write!(f, "@{digest}"),
        }
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({self})")
    }
}

text_conversions!(Reference, TagOrDigest);

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Error {
        match text.parse::<Reference>() {
            Ok(reference) => panic!("{text} was read as {reference}"),
            Err(error) => error,
        }
    }

    #[test]
    fn a_bare_image_name_is_told_its_name_on_docker_hub() {
        for text in ["alpine", "alpine:3"] {
            let hint =
                format!("name the registry too, such as docker.io/library/{text} on Docker Hub");
            assert_eq!(error(text).hint(), Some(hint.as_str()));
        }
    }

    #[test]
    fn a_bare_host_is_told_what_a_full_reference_looks_like() {
        for text in ["localhost:5000", "registry.example", "", "two words"] {
            assert_eq!(error(text).hint(), Some(FORMS));
        }
    }

    #[test]
    fn no_error_repeats_a_password() {
        for text in [
            "me:secret@host/app",
            "me:secret@host:5000/app@x",
            "me:secret@host",
            "https://me:secret@host/app",
        ] {
            let error = error(text);
            let shown = format!("{error} {error:?} {:?}", error.hint());
            assert!(!shown.contains("secret"), "{shown}");
        }
    }

    #[test]
    fn an_error_shows_the_text_around_a_digest() {
        let text = format!("alpine:3@{}", crate::Digest::of(b""));
        assert!(error(&text).to_string().contains(&text));
    }
}
