//! Patterns of repository names.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use tranship::{Error, ErrorKind, RepositoryName, Result};
use wildmatch::WildMatch;

/// A pattern of repository names: `*` matches any part of a component, and `**` as a component matches any number of
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
    /// Returns the pattern that matches every name.
    #[must_use]
    pub fn all() -> Self {
        Self("**".into())
    }

    /// Returns whether the pattern matches `name`.
    ///
    /// The time is bounded by the product of both lengths, so a hostile pattern cannot make it slow.
    #[must_use]
    pub fn matches(&self, name: &RepositoryName) -> bool {
        self.fits(name.as_str())
    }

    /// Returns whether the pattern matches every name that `other` matches. It may be `false` for patterns of which only
    /// the lengths of names tell that, such as `*/**` and `**`.
    ///
    /// ```
    /// use tranship_server::NamePattern;
    ///
    /// let wide: NamePattern = "team/**".parse()?;
    /// assert!(wide.covers(&"team/app-*".parse()?));
    /// assert!(!wide.covers(&"*/app".parse()?));
    /// # Ok::<(), tranship::Error>(())
    /// ```
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.fits(&other.0)
    }

    /// Returns whether the pattern matches `text`, a name or a pattern. Only stars match the stars of a pattern.
    fn fits(&self, text: &str) -> bool {
        let components: Vec<&str> = text.split('/').collect();
        // `reached[n]`: the pattern up to here matches the first n components.
        let mut reached = vec![false; components.len() + 1];
        reached[0] = true;
        for part in self.0.split('/') {
            if part == "**" {
                let first = reached.iter().position(|reached| *reached);
                reached[first.unwrap_or(components.len())..].fill(first.is_some());
                continue;
            }
            let part = WildMatch::new(part);
            for (at, component) in components.iter().enumerate().rev() {
                reached[at + 1] = reached[at] && *component != "**" && part.matches(component);
            }
            reached[0] = false;
        }
        reached[components.len()]
    }
}

impl FromStr for NamePattern {
    type Err = Error;

    /// Parses a pattern.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it contains a character that no repository name has, or an
    /// empty component.
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
            "invalid pattern: expected a repository name with * or ** in it, such as team/**",
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
    fn only_double_stars_match_slashes() {
        for (pattern, name) in [
            ("app", "app"),
            ("*", "app"),
            ("a*p", "app"),
            ("team/*", "team/app"),
            ("team/**", "team/app"),
            ("team/**", "team/a/b/c"),
            ("team/**", "team"),
            ("**/**", "a"),
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
    fn a_pattern_covers_narrower_ones() {
        let covers = |wide: &str, narrow: &str| {
            let [wide, narrow] = [wide, narrow].map(str::parse::<NamePattern>);
            wide.expect("a pattern").covers(&narrow.expect("a pattern"))
        };
        for (wide, narrow) in [
            ("app", "app"),
            ("**", "**/web"),
            ("team/**", "team/*"),
            ("team/**", "team"),
            ("team/**", "team/**/web"),
            ("*", "a*"),
            ("a*", "a*b*"),
            ("**/web", "a/**/web"),
            ("**/b/**", "a/**/b"),
        ] {
            assert!(covers(wide, narrow), "{wide} {narrow}");
        }
        for (wide, narrow) in [
            ("app", "*"),
            ("*", "**"),
            ("team/*", "team/**"),
            ("a*", "*a"),
            ("a*b*", "a*"),
            ("team/**", "**"),
            ("**/web", "**/w*"),
        ] {
            assert!(!covers(wide, narrow), "{wide} {narrow}");
        }
    }

    #[test]
    fn a_hostile_pattern_is_matched_quickly() {
        let name = "a".repeat(200) + "b";
        assert!(!matches(&("*a".repeat(100) + "c"), &name));
        let name = vec!["a"; 100].join("/") + "/b";
        assert!(!matches(&(vec!["**/a"; 50].join("/") + "/c"), &name));
    }

    #[test]
    fn a_pattern_that_no_name_matches_is_refused() {
        for text in ["", "/", "a/", "A", "a b", "a:b"] {
            text.parse::<NamePattern>().expect_err(text);
        }
    }
}
