//! Where images are copied from.

use std::fmt;
use std::str::FromStr;

use tranship::{Digest, Error, RegistryName, RepositoryName, Result, Tag};

use super::docker::split_host;
use super::location::{Form, Split, invalid};
use super::name::NamePattern;

const SOURCES: &str = "write HOST/REPOSITORY, HOST/** for all repositories, layouts:ROOT//REPOSITORY, layouts:ROOT, oci:PATH or oci-archive:FILE";

/// One or more repositories of a registry.
///
/// | Text | Repositories |
/// |---|---|
/// | `HOST/PATTERN`, `docker://HOST/PATTERN` | those of a registry that match the [pattern](NamePattern); `HOST/**` for all |
/// | `NAME`, `TEAM/PATTERN` | those of Docker Hub, because the first component is not a host |
/// | `layouts:ROOT//PATTERN` | those of a directory with an image layout for each repository, or of a prefix of an object store |
/// | `layouts:ROOT` | all of them |
/// | `oci:PATH`, `oci-archive:FILE`, `docker-archive:FILE` | one that does not belong to a registry |
///
/// As for Docker, the first of several components is a host only if it contains a dot, a colon or an upper case letter, or is
/// `localhost`. Everything else is on Docker Hub, where a name of one component gets `library/` in front: `alpine` is
/// `docker.io/library/alpine`, and `al*` is `docker.io/library/al*`. After `docker://` the first component is always a host.
/// A host alone is an error, so that a missing `/**` does not become the name of an image.
///
/// ```
/// use tranship_mirror::rules::SourcePattern;
///
/// let source: SourcePattern = "quay.io/team/**".parse()?;
/// assert_eq!(source.registry, "quay.io");
/// assert!(source.matches(&"team/app".parse()?));
/// let short: SourcePattern = "alpine".parse()?;
/// assert_eq!(short.to_string(), "docker.io/library/alpine");
/// # Ok::<(), tranship::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePattern {
    /// The location of the registry, such as `docker.io` or `layouts:DIR`; or of a single repository that does not belong
    /// to a registry, such as `oci:DIR` or `oci-archive:FILE`.
    pub registry: String,
    /// The repositories of the registry; `None` if `registry` is a single repository.
    pub repositories: Option<NamePattern>,
    /// Repositories that `repositories` matches and that are not meant.
    pub excluded: Vec<NamePattern>,
}

impl SourcePattern {
    /// Returns the repositories of `registry`, a location such as `docker.io`, that match.
    pub fn new(registry: impl Into<String>, repositories: NamePattern) -> Self {
        Self {
            registry: registry.into(),
            repositories: Some(repositories),
            excluded: Vec::new(),
        }
    }

    /// Returns the source that is a single repository, such as `oci:DIR`.
    pub fn single(location: impl Into<String>) -> Self {
        Self {
            registry: location.into(),
            repositories: None,
            excluded: Vec::new(),
        }
    }

    /// Excludes the repositories that match `pattern`.
    #[must_use]
    pub fn without(mut self, pattern: NamePattern) -> Self {
        self.excluded.push(pattern);
        self
    }

    /// Returns whether the repository `name` of the registry is meant. A single repository does not have a name, so that
    /// none matches.
    #[must_use]
    pub fn matches(&self, name: &RepositoryName) -> bool {
        let is_meant = |pattern: &NamePattern| pattern.matches(name);
        self.repositories.as_ref().is_some_and(is_meant) && !self.excluded.iter().any(is_meant)
    }

    /// Returns the name of the repository, if exactly one is meant and it has a name.
    #[must_use]
    pub fn literal(&self) -> Option<RepositoryName> {
        let name = self.repositories.as_ref()?.literal()?;
        self.matches(&name).then_some(name)
    }

    /// Returns whether only one repository can be meant, so that nothing needs to be listed.
    #[must_use]
    pub fn is_single(&self) -> bool {
        match &self.repositories {
            Some(pattern) => pattern.literal().is_some(),
            None => true,
        }
    }
}

impl FromStr for SourcePattern {
    type Err = Error;

    /// Reads a source, without a tag or digest.
    ///
    /// # Errors
    /// - [`InvalidReference`](tranship::ErrorKind::InvalidReference) if the text is malformed, has a tag or digest, or is a
    ///   host without repositories.
    /// - [`InvalidInput`](tranship::ErrorKind::InvalidInput) for a malformed pattern.
    fn from_str(text: &str) -> Result<Self> {
        let image: ImageName = text.parse()?;
        if image.tag.is_some() || image.digest.is_some() {
            let why = "the repository is followed by a tag or digest";
            return Err(invalid(text, why).with_hint(SOURCES));
        }
        Ok(image.source)
    }
}

impl fmt::Display for SourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(repositories) = &self.repositories else {
            return f.write_str(&self.registry);
        };
        if self.registry.starts_with("layouts:") {
            return write!(f, "{}//{repositories}", self.registry);
        }
        let plain = format!("{}/{repositories}", self.registry);
        let is_read_back = self.registry.starts_with("docker://")
            || matches!(Form::of(&plain), Ok(Form::Name(name)) if split_host(name).0 == self.registry);
        if is_read_back {
            f.write_str(&plain)
        } else {
            write!(f, "docker://{plain}")
        }
    }
}

/// A source with the tag and the digest that follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageName {
    pub(crate) source: SourcePattern,
    pub(crate) tag: Option<Tag>,
    pub(crate) digest: Option<Digest>,
}

impl FromStr for ImageName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Split {
            location,
            tag,
            digest,
        } = Split::of(text)?;
        let with_forms = |error: Error| error.with_hint(SOURCES);
        let source = match Form::of(location)? {
            Form::Single(location) => SourcePattern::single(location),
            Form::Layouts(root, None) => SourcePattern::new(root, NamePattern::all()),
            Form::Layouts(root, Some(name)) => {
                SourcePattern::new(root, name.parse().map_err(with_forms)?)
            }
            Form::Docker(rest) => {
                let (host, name) = rest
                    .split_once('/')
                    .ok_or_else(|| with_forms(invalid(text, "the repository is missing")))?;
                let (host, name) = match host {
                    "docker.io" => split_host(rest),
                    host => (host, name.into()),
                };
                let registry = remote(host).map_err(with_forms)?;
                SourcePattern::new(registry, name.parse().map_err(with_forms)?)
            }
            Form::Name(name) => {
                if !name.contains('/') && (name == "localhost" || name.contains('.')) {
                    let why = "the repository is missing";
                    let hint = format!(
                        "write {name}/** for all repositories of a registry, or docker.io/library/{name} for an image of Docker Hub"
                    );
                    return Err(invalid(text, why).with_hint(hint));
                }
                let (host, name) = split_host(name);
                let registry = remote(host).map_err(with_forms)?;
                SourcePattern::new(registry, name.parse().map_err(with_forms)?)
            }
        };
        Ok(Self {
            source,
            tag,
            digest,
        })
    }
}

/// The location of the registry `host`.
pub(super) fn remote(host: &str) -> Result<String> {
    let name: RegistryName = host.parse()?;
    let is_plain = matches!(Form::of(host), Ok(Form::Name(_))) && !host.ends_with(':');
    Ok(if is_plain {
        name.to_string()
    } else {
        format!("docker://{name}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read() {
        for (text, registry, repositories, shown) in [
            (
                "docker.io/library/alpine",
                "docker.io",
                "library/alpine",
                "",
            ),
            ("quay.io/team/**", "quay.io", "team/**", ""),
            ("localhost:5000/**", "localhost:5000", "**", ""),
            (
                "alpine",
                "docker.io",
                "library/alpine",
                "docker.io/library/alpine",
            ),
            ("team/app", "docker.io", "team/app", "docker.io/team/app"),
            (
                "docker://docker.io/alpine",
                "docker.io",
                "library/alpine",
                "docker.io/library/alpine",
            ),
            ("docker://quay.io/app", "quay.io", "app", "quay.io/app"),
            ("docker://myhost/app", "myhost", "app", ""),
            ("docker://oci:5000/app", "docker://oci:5000", "app", ""),
            ("layouts:dir", "layouts:dir", "**", "layouts:dir//**"),
            ("layouts:dir//team/*", "layouts:dir", "team/*", ""),
            (
                "layouts:s3://bucket/x",
                "layouts:s3://bucket/x",
                "**",
                "layouts:s3://bucket/x//**",
            ),
            (
                "layouts:s3://bucket/x//a/b",
                "layouts:s3://bucket/x",
                "a/b",
                "",
            ),
        ] {
            let source: SourcePattern = text.parse().expect(text);
            assert_eq!(source.registry, registry, "{text}");
            let found = source.repositories.as_ref().map(ToString::to_string);
            assert_eq!(found.as_deref(), Some(repositories), "{text}");
            let shown = if shown.is_empty() { text } else { shown };
            assert_eq!(source.to_string(), shown);
            assert_eq!(shown.parse::<SourcePattern>().expect(shown), source);
        }
        for text in [
            "oci:dir",
            "oci:./a:b/",
            "oci-archive:a.tar",
            "docker-archive:a.tar",
        ] {
            let source: SourcePattern = text.parse().expect(text);
            assert_eq!(
                (source.registry.as_str(), &source.repositories),
                (text, &None)
            );
            assert_eq!(source.to_string(), text);
        }
    }

    #[test]
    fn a_malformed_source_is_an_error() {
        for text in [
            "",
            "/",
            "quay.io",
            "localhost",
            "localhost:5000",
            "quay.io/",
            "quay.io/Team/app",
            "quay.io/app:v1",
            "alpine:3",
            "oci:",
            "oci:dir:v1",
            "layouts:dir//",
            "layouts:",
            "./dir",
            "https://quay.io/app",
            "docker://quay.io",
            "quay.io//app",
            "a b/c",
        ] {
            let error = text.parse::<SourcePattern>().expect_err(text);
            assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn excluded_repositories_do_not_match() -> Result<()> {
        let source: SourcePattern = "quay.io/team/*".parse()?;
        let source = source.without("team/secret-*".parse()?);
        assert!(source.matches(&"team/app".parse()?));
        assert!(!source.matches(&"team/secret-app".parse()?));
        assert!(!source.matches(&"other/app".parse()?));
        Ok(())
    }
}
