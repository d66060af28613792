//! The name of a repository.

use std::str::FromStr;
use std::sync::Arc;

use super::redaction::invalid;
use crate::error::{Error, Result};

/// The name of a repository in a registry, such as `library/alpine`.
///
/// Components are parted by `/`. A component is made of lower-case ASCII letters and digits; between
/// two of those may stand one `.`, one or two `_`, or any number of `-`. That is the grammar of the
/// distribution spec, which sets no limit on the length; many registries do. No component is `.`
/// or `..`, so that a name is safe as a relative path.
///
/// ```
/// use tranship::RepositoryName;
///
/// let repository: RepositoryName = "library/alpine".parse()?;
/// assert_eq!(repository.as_str(), "library/alpine");
/// assert!("Library/Alpine".parse::<RepositoryName>().is_err());
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Arc<str>);

impl FromStr for RepositoryName {
    type Err = Error;

    /// Reads a repository's name; `Reference.ValidateRepository` in ORAS Go.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidReference`](crate::ErrorKind::InvalidReference) if it is none.
    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(invalid(text, "the repository name is empty"));
        }
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(invalid(text, "the repository name has upper-case letters"));
        }
        if !text.split('/').all(is_component) {
            return Err(invalid(
                text,
                "the repository name is not made of letters and digits with '/', '.', '_', '__' or dashes between them",
            ));
        }
        Ok(Self(text.into()))
    }
}

fn is_component(component: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    // Between two words lies a run of separators; at either end there must be none.
    bytes.first().copied().is_some_and(is_word)
        && bytes.last().copied().is_some_and(is_word)
        && bytes
            .split(|&byte| is_word(byte))
            .all(|run| matches!(run, b"." | b"_" | b"__") || run.iter().all(|&b| b == b'-'))
}

text_newtype!(RepositoryName);
