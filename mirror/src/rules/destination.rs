//! Where images are copied to.

use std::fmt;
use std::str::FromStr;

use tranship::{Error, Result, Tag};

use super::docker::is_host;
use super::location::{Form, Split, invalid};
use super::name::NameTemplate;
use super::source::remote;

const DESTINATIONS: &str = "write HOST/PREFIX, HOST/PREFIX/{repository}, layouts:ROOT, layouts:ROOT//{repository}, oci:PATH or oci-archive:FILE";
/// At the end of a name: the tag is that of the source.
const SAME_TAG: &str = ":{tag}";

/// Where images are copied to.
///
/// | Text | Repository at the destination |
/// |---|---|
/// | `HOST/TEMPLATE`, `docker://HOST/TEMPLATE` | what the [template](NameTemplate) makes of the name in the source, such as `registry.example/mirror/{registry}/{repository}` |
/// | `HOST/PREFIX`, `HOST` | `PREFIX/{repository}`, `{repository}` |
/// | `HOST/NAME:{tag}` | NAME, for every image |
/// | `HOST/NAME:TAG` | NAME, with this tag; for a rule that chooses one image |
/// | `layouts:ROOT//TEMPLATE`, `layouts:ROOT//PREFIX`, `layouts:ROOT` | the same in a directory with an image layout for each repository, or below a prefix of an object store |
/// | `oci:PATH`, `oci-archive:FILE`, with `:TAG` for a rule that chooses one image | the single repository there |
///
/// Text without a `{` and without a tag is a prefix: exactly `/{repository}` is appended. Text that has either is complete.
///
/// The first component is the host. One that Docker would not take for a host, such as `mirror` in `mirror/app`, needs
/// `docker://` in front, so that a missing host is an error.
///
/// ```
/// use tranship_mirror::rules::Destination;
///
/// let prefix: Destination = "registry.example:5000/mirror".parse()?;
/// assert_eq!(prefix, "registry.example:5000/mirror/{repository}".parse()?);
/// let renamed: Destination = "registry.example:5000/base/alpine:{tag}".parse()?;
/// assert_eq!(renamed.repository.map(|name| name.to_string()).as_deref(), Some("base/alpine"));
/// # Ok::<(), tranship::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The location of the registry, or of a single repository, as in
    /// [`SourcePattern::registry`](super::SourcePattern::registry).
    pub registry: String,
    /// The name of the repository; `None` if `registry` is a single repository.
    pub repository: Option<NameTemplate>,
    /// The tag, for a rule that chooses one image; `None` for that of the source.
    pub tag: Option<Tag>,
}

impl Destination {
    /// Returns the destination in `registry`, a location such as `registry.example`, with names made by `repository`.
    pub fn new(registry: impl Into<String>, repository: NameTemplate) -> Self {
        Self {
            registry: registry.into(),
            repository: Some(repository),
            tag: None,
        }
    }

    /// Returns the destination that is a single repository, such as `oci:DIR`.
    pub fn single(location: impl Into<String>) -> Self {
        Self {
            registry: location.into(),
            repository: None,
            tag: None,
        }
    }

    /// Sets [`tag`](Self::tag).
    #[must_use]
    pub fn with_tag(mut self, tag: Tag) -> Self {
        self.tag = Some(tag);
        self
    }
}

impl FromStr for Destination {
    type Err = Error;

    /// Reads a destination.
    ///
    /// # Errors
    /// - [`InvalidReference`](tranship::ErrorKind::InvalidReference) if the text is malformed, has a digest, or does not
    ///   begin with a host.
    /// - [`InvalidInput`](tranship::ErrorKind::InvalidInput) for a malformed template.
    fn from_str(text: &str) -> Result<Self> {
        let with_forms = |error: Error| error.with_hint(DESTINATIONS);
        let (location, tag, is_complete) = match text.strip_suffix(SAME_TAG) {
            Some(location) => (location, None, true),
            None => {
                let split = Split::of(text).map_err(with_forms)?;
                if split.digest.is_some() {
                    let why = "a destination cannot have a digest";
                    return Err(with_forms(invalid(text, why)));
                }
                let is_complete = split.tag.is_some() || split.location.contains('{');
                (split.location, split.tag, is_complete)
            }
        };
        let (registry, name) = match Form::of(location)? {
            Form::Single(location) => {
                return Ok(Self {
                    tag,
                    ..Self::single(location)
                });
            }
            Form::Layouts(root, name) => (root.to_owned(), name),
            Form::Docker(rest) => {
                let (host, name) = host_and_rest(rest);
                (remote(host).map_err(with_forms)?, name)
            }
            Form::Name(rest) => {
                // Without a slash, `localhost:5000` is read as the name `localhost` with the tag `5000`.
                if !text.contains('/') && text != location && !text.ends_with(SAME_TAG) {
                    return Ok(Self::new(
                        remote(text).map_err(with_forms)?,
                        NameTemplate::same_name(),
                    ));
                }
                let (host, name) = host_and_rest(rest);
                if !is_host(host) {
                    let hint = format!(
                        "write docker://{location} if {host} is a host, and docker.io/{location} for Docker Hub"
                    );
                    return Err(invalid(text, "the host is missing").with_hint(hint));
                }
                (remote(host).map_err(with_forms)?, name)
            }
        };
        let repository = match name {
            None if is_complete => {
                return Err(with_forms(invalid(text, "the repository is missing")));
            }
            None => NameTemplate::same_name(),
            Some(name) if is_complete => name.parse()?,
            Some(prefix) => format!("{prefix}/{{repository}}").parse()?,
        };
        Ok(Self {
            tag,
            ..Self::new(registry, repository)
        })
    }
}

/// Splits after the first component. A slash at the end is not followed by a name.
fn host_and_rest(text: &str) -> (&str, Option<&str>) {
    match text.split_once('/') {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest)),
        None => (text, None),
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.repository {
            None => f.write_str(&self.registry)?,
            Some(name) if self.registry.starts_with("layouts:") => {
                write!(f, "{}//{name}", self.registry)?;
            }
            Some(name) => {
                let scheme = if is_host(&self.registry) {
                    ""
                } else {
                    "docker://"
                };
                write!(f, "{scheme}{}/{name}", self.registry)?;
            }
        }
        match &self.tag {
            Some(tag) => write!(f, ":{tag}"),
            None if self
                .repository
                .as_ref()
                .is_some_and(|name| name.literal().is_some()) =>
            {
                f.write_str(SAME_TAG)
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read() {
        for (text, registry, repository, tag) in [
            (
                "reg.example/m/{repository}",
                "reg.example",
                "m/{repository}",
                None,
            ),
            ("reg.example/m", "reg.example", "m/{repository}", None),
            ("reg.example/m/", "reg.example", "m//{repository}", None),
            ("reg.example", "reg.example", "{repository}", None),
            ("reg.example/", "reg.example", "{repository}", None),
            ("localhost:5000", "localhost:5000", "{repository}", None),
            ("localhost", "localhost", "{repository}", None),
            ("localhost:5000/m", "localhost:5000", "m/{repository}", None),
            ("[::1]:5000/m", "[::1]:5000", "m/{repository}", None),
            (
                "reg.example/base/app:{tag}",
                "reg.example",
                "base/app",
                None,
            ),
            ("reg.example/{name}:{tag}", "reg.example", "{name}", None),
            (
                "reg.example/base/app:v1",
                "reg.example",
                "base/app",
                Some("v1"),
            ),
            ("reg.example/{name}:v1", "reg.example", "{name}", Some("v1")),
            ("docker://mirror/x", "mirror", "x/{repository}", None),
            ("docker://mirror", "mirror", "{repository}", None),
            (
                "docker://oci:5000/x",
                "docker://oci:5000",
                "x/{repository}",
                None,
            ),
            ("docker.io/team/{name}", "docker.io", "team/{name}", None),
            ("layouts:dir", "layouts:dir", "{repository}", None),
            ("layouts:dir//{name}", "layouts:dir", "{name}", None),
            ("layouts:dir//m", "layouts:dir", "m/{repository}", None),
            ("layouts:s3://b/x", "layouts:s3://b/x", "{repository}", None),
            (
                "layouts:s3://b/x//{name}",
                "layouts:s3://b/x",
                "{name}",
                None,
            ),
        ] {
            let destination: Destination = text.parse().expect(text);
            assert_eq!(destination.registry, registry, "{text}");
            let name = destination.repository.as_ref().map(ToString::to_string);
            assert_eq!(name.as_deref(), Some(repository), "{text}");
            assert_eq!(destination.tag.as_ref().map(Tag::as_str), tag, "{text}");
            let shown = destination.to_string();
            assert_eq!(
                shown.parse::<Destination>().expect(&shown),
                destination,
                "{shown}"
            );
        }
        for (text, location, tag) in [
            ("oci:dir", "oci:dir", None),
            ("oci:dir:v1", "oci:dir", Some("v1")),
            ("oci-archive:a.tar", "oci-archive:a.tar", None),
        ] {
            let destination: Destination = text.parse().expect(text);
            assert_eq!(destination.registry, location);
            assert_eq!(destination.repository, None);
            assert_eq!(destination.tag.as_ref().map(Tag::as_str), tag);
            assert_eq!(destination.to_string(), text);
        }
    }

    #[test]
    fn a_malformed_destination_is_an_error() {
        for text in [
            "",
            "/",
            "mirror",
            "mirror/app",
            "team/{name}",
            "reg.example/{repo}",
            "reg.example/M",
            "reg.example/{name",
            "layouts:",
            "oci:",
            "./dir",
            "https://reg.example/m",
            "reg.example/app:bad tag",
            "reg.example/app@sha256:12",
            "localhost:port",
            "app:{tag}",
            "reg.example:{tag}",
        ] {
            let error = text.parse::<Destination>().expect_err(text);
            assert!(!error.to_string().is_empty());
        }
    }
}
