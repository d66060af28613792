//! How repositories are named at the destination.

use std::fmt;
use std::str::FromStr;

use tranship::{Error, ErrorKind, Printable, RegistryName, RepositoryName, Result};

const PARTS: &str = "the parts are {registry}, {repository}, {namespace} and {name}";

/// How the name of a repository at the destination is made from that in the source.
///
/// | Part | Replaced by |
/// |---|---|
/// | `{registry}` | the host of the source in lower case, with `-` in place of a colon, such as `docker.io` or `localhost-5000`; empty for a source that is not a registry with a host |
/// | `{repository}` | the name in the source, such as `library/alpine` |
/// | `{namespace}` | the name without its last component, such as `library` |
/// | `{name}` | the last component, such as `alpine` |
///
/// Slashes that an empty part leaves at either end, or two in a row, are removed.
///
/// ```
/// use tranship_mirror::rules::NameTemplate;
///
/// let template: NameTemplate = "mirror/{registry}/{repository}".parse()?;
/// let name = template.apply("docker.io", &"library/alpine".parse()?)?;
/// assert_eq!(name.as_str(), "mirror/docker.io/library/alpine");
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameTemplate {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Registry,
    Repository,
    Namespace,
    Name,
}

impl Part {
    fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "registry" => Self::Registry,
            "repository" => Self::Repository,
            "namespace" => Self::Namespace,
            "name" => Self::Name,
            _ => return None,
        })
    }
}

impl NameTemplate {
    /// Returns the template that keeps the name of the source: `{repository}`.
    #[must_use]
    pub fn same_name() -> Self {
        Self {
            parts: vec![Part::Repository],
        }
    }

    /// Returns the template of one name, whatever the source.
    #[must_use]
    pub fn of_name(name: &RepositoryName) -> Self {
        Self {
            parts: vec![Part::Text(name.to_string())],
        }
    }

    /// Returns the name, if it is the same for every source.
    #[must_use]
    pub fn literal(&self) -> Option<RepositoryName> {
        match self.parts.as_slice() {
            [Part::Text(text)] => text.parse().ok(),
            _ => None,
        }
    }

    /// Returns the name for `repository` of `registry`, which is a host, or a location such as `layouts:DIR`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidReference`] if the result is not the name of a repository, for example because it is empty.
    pub fn apply(&self, registry: &str, repository: &RepositoryName) -> Result<RepositoryName> {
        let repository = repository.as_str();
        let (namespace, name) = repository.rsplit_once('/').unwrap_or(("", repository));
        let mut result = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => result.push_str(text),
                Part::Registry => result.push_str(&host_component(registry)),
                Part::Repository => result.push_str(repository),
                Part::Namespace => result.push_str(namespace),
                Part::Name => result.push_str(name),
            }
        }
        let components: Vec<&str> = result.split('/').filter(|part| !part.is_empty()).collect();
        let result = components.join("/");
        result.parse().map_err(|error| {
            let why = format!(
                "the name at the destination, {}, is not the name of a repository",
                Printable(&result)
            );
            Error::new(ErrorKind::InvalidReference, why)
                .with_subject(format!("{self} for {repository}"))
                .with_hint(
                    "names are lower case letters and digits, with single . _ or - between them",
                )
                .with_source(error)
        })
    }
}

/// The host of a source as a component of a name; empty if the source does not have one.
fn host_component(registry: &str) -> String {
    let is_local = ["layouts:", "oci:", "oci-archive:", "docker-archive:"]
        .iter()
        .any(|scheme| registry.starts_with(scheme));
    let host = registry.strip_prefix("docker://").unwrap_or(registry);
    if is_local || host.parse::<RegistryName>().is_err() {
        return String::new();
    }
    host.to_ascii_lowercase().replace(':', "-")
}

impl FromStr for NameTemplate {
    type Err = Error;

    /// Reads a template.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if a part in braces is not known, if a brace is not closed or opened, or if text between
    /// the parts has a character that no name of a repository has.
    fn from_str(text: &str) -> Result<Self> {
        let invalid = |why: String| {
            Error::new(ErrorKind::InvalidInput, why)
                .with_subject(Printable(text))
                .with_hint(PARTS)
        };
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, part) = match rest.split_once('{') {
                None => (std::mem::take(&mut rest), None),
                Some((literal, after)) => {
                    let (name, after) = after
                        .split_once('}')
                        .ok_or_else(|| invalid("a brace is not closed".into()))?;
                    let part = Part::of_name(name)
                        .ok_or_else(|| invalid(format!("unknown part {}", Printable(name))))?;
                    rest = after;
                    (literal, Some(part))
                }
            };
            check_literal(literal).map_err(|why| invalid(why.into()))?;
            if !literal.is_empty() {
                parts.push(Part::Text(literal.to_owned()));
            }
            parts.extend(part);
        }
        if parts.is_empty() {
            return Err(invalid("the name at the destination is empty".into()));
        }
        Ok(Self { parts })
    }
}

fn check_literal(text: &str) -> Result<(), &'static str> {
    if text.contains('}') {
        Err("a brace is closed that was not opened")
    } else if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Err("the names of repositories are lower case")
    } else if !text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte))
    {
        Err("the template has a character that no name of a repository has")
    } else {
        Ok(())
    }
}

impl fmt::Display for NameTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| {
            f.write_str(match part {
                Part::Text(text) => text,
                Part::Registry => "{registry}",
                Part::Repository => "{repository}",
                Part::Namespace => "{namespace}",
                Part::Name => "{name}",
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(template: &str, registry: &str, repository: &str) -> Result<String> {
        let parsed: NameTemplate = template.parse()?;
        assert_eq!(parsed.to_string(), template);
        let name = parsed.apply(registry, &repository.parse()?)?;
        Ok(name.to_string())
    }

    #[test]
    fn parts_are_replaced() {
        for (template, registry, repository, expected) in [
            (
                "{repository}",
                "docker.io",
                "library/alpine",
                "library/alpine",
            ),
            (
                "m/{repository}",
                "docker.io",
                "library/alpine",
                "m/library/alpine",
            ),
            (
                "{registry}/{repository}",
                "docker.io",
                "a/b",
                "docker.io/a/b",
            ),
            (
                "{registry}/{name}",
                "localhost:5000",
                "a/b",
                "localhost-5000/b",
            ),
            (
                "{registry}/{name}",
                "docker://Reg.example",
                "a",
                "reg.example/a",
            ),
            ("{registry}/{name}", "layouts:dir", "a/b", "b"),
            ("{registry}/{name}", "layouts:5000", "a/b", "b"),
            ("x/{namespace}/y", "docker.io", "a", "x/y"),
            ("x/{namespace}/y", "docker.io", "a/b/c", "x/a/b/y"),
            ("{namespace}/{name}", "docker.io", "a", "a"),
            ("mirror-{name}-copy", "docker.io", "a/b", "mirror-b-copy"),
            ("base/app", "docker.io", "a/b", "base/app"),
            ("/base//app/", "docker.io", "a/b", "base/app"),
        ] {
            let name = applied(template, registry, repository).expect(template);
            assert_eq!(name, expected, "{template}");
        }
    }

    #[test]
    fn a_result_that_is_not_a_name_is_an_error() {
        for (template, registry, repository) in [
            ("{namespace}", "docker.io", "alpine"),
            ("-{name}", "docker.io", "alpine"),
            ("{registry}/{name}", "[::1]:5000", "alpine"),
        ] {
            let error = applied(template, registry, repository).expect_err(template);
            assert_eq!(error.kind(), ErrorKind::InvalidReference, "{template}");
            assert!(error.to_string().contains("at the destination"), "{error}");
        }
    }

    #[test]
    fn a_malformed_template_is_an_error() {
        for (template, expected) in [
            ("", "empty"),
            ("{repo}", "unknown part \"repo\""),
            ("{}", "unknown part \"\""),
            ("a/{name", "not closed"),
            ("a/name}", "not opened"),
            ("{{name}}", "unknown part"),
            ("Mirror/{name}", "lower case"),
            ("mirror/{name}:v1", "a character"),
        ] {
            let error = template.parse::<NameTemplate>().expect_err(template);
            assert!(error.to_string().contains(expected), "{template}: {error}");
        }
    }

    #[test]
    fn only_a_template_without_parts_is_literal() -> Result<()> {
        let literal = "base/app".parse::<NameTemplate>()?.literal();
        assert_eq!(literal, Some("base/app".parse()?));
        assert_eq!("base/{name}".parse::<NameTemplate>()?.literal(), None);
        Ok(())
    }
}
