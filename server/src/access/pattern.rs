//! Patterns of repository names.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use tranship::{Error, ErrorKind, RepositoryName, Result};

/// A pattern of repository names: `*` stands for any part of a component, `**` for any number of
/// components.
///
/// ```
/// use tranship_server::NamePattern;
///
/// let pattern: NamePattern = "team/**".parse()?;
/// assert!(pattern.matches(&"team/app/web".parse()?));
/// assert!(!pattern.matches(&"other/app".parse()?));
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamePattern(Arc<str>);

impl NamePattern {
    /// Every name.
    #[must_use]
    pub fn all() -> Self {
        Self("**".into())
    }

    /// Whether `name` is one of those that are meant.
    #[must_use]
    pub fn matches(&self, name: &RepositoryName) -> bool {
        let pattern: Vec<&str> = self.0.split('/').collect();
        let components: Vec<&str> = name.as_str().split('/').collect();
        components_match(&pattern, &components)
    }
}

fn components_match(pattern: &[&str], name: &[&str]) -> bool {
    let fits = |part: &&str, component: &&str| {
        let (part, component) = (part.as_bytes(), component.as_bytes());
        matches_all(part, component, |byte| *byte == b'*', u8::eq)
    };
    matches_all(pattern, name, |part| *part == "**", fits)
}

/// Whether all of `text` is what `pattern` means, in which a star stands for anything, and everything
/// else for what fits it.
///
/// It goes back to the last star only, so it takes no longer than the product of both lengths.
fn matches_all<P, T>(
    pattern: &[P],
    text: &[T],
    is_star: impl Fn(&P) -> bool,
    fits: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut again: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some(star) if is_star(star) => {
                again = Some((at, seen));
                at += 1;
            }
            Some(part) if fits(part, &text[seen]) => {
                at += 1;
                seen += 1;
            }
            _ => match &mut again {
                Some((star, taken)) => {
                    *taken += 1;
                    (at, seen) = (*star + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(is_star)
}

impl FromStr for NamePattern {
    type Err = Error;

    /// Reads a pattern.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if no name could match.
    fn from_str(text: &str) -> Result<Self> {
        let is_component = |component: &str| {
            !component.is_empty()
                && component.bytes().all(|byte| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-*".contains(&byte)
                })
        };
        if text.split('/').all(is_component) {
            return Ok(Self(text.into()));
        }
        Err(Error::new(
            ErrorKind::InvalidInput,
            "a pattern is a repository name in which * and ** may stand, such as team/**",
        ))
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        let pattern: NamePattern = pattern.parse().expect("a pattern");
        pattern.matches(&name.parse().expect("a name"))
    }

    #[test]
    fn stars_stay_within_a_component_and_double_stars_do_not() {
        for (pattern, name) in [
            ("app", "app"),
            ("*", "app"),
            ("a*p", "app"),
            ("team/*", "team/app"),
            ("team/**", "team/app"),
            ("team/**", "team/a/b/c"),
            ("**", "a/b/c"),
            ("**/web", "a/b/web"),
            ("**/b/**", "a/b/c/d"),
            ("*-*", "a-b"),
            ("*a*a*", "banana"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("app", "apps"),
            ("*", "a/b"),
            ("team/*", "team/a/b"),
            ("team/*", "team"),
            ("**/web", "a/b/web2"),
            ("a*p", "ap2"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        let name = "a".repeat(200) + "b";
        assert!(!matches(&("*a".repeat(100) + "c"), &name));
        let name = vec!["a"; 100].join("/") + "/b";
        assert!(!matches(&(vec!["**/a"; 50].join("/") + "/c"), &name));
    }

    #[test]
    fn what_no_name_matches_is_refused() {
        for text in ["", "/", "a/", "A", "a b", "a:b"] {
            text.parse::<NamePattern>().expect_err(text);
        }
    }
}
