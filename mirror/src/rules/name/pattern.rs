//! Which repositories of a registry are meant.

use std::fmt;
use std::str::FromStr;

use regex_lite::Regex;
use tranship::{Error, ErrorKind, Printable, RepositoryName, Result};

/// The longest pattern, in bytes: more than the longest name that registries accept.
const MAX_LENGTH: usize = 512;

const FORMS: &str = "write a name such as library/alpine, with * for any text without a slash, ** for any text and ? for one character";

/// Which repositories of a registry: a name, or a pattern in which `*` matches any text without a slash, `**` any text and `?`
/// one character that is not a slash.
///
/// | Pattern | Matches | Does not match |
/// |---|---|---|
/// | `library/alpine` | `library/alpine` | every other name |
/// | `team/*` | `team/app` | `team`, `team/a/b` |
/// | `team/**` | `team/app`, `team/a/b` | `team` |
/// | `**/app` | `team/app`, `team/a/app` | `app` |
/// | `**` | every name | |
///
/// ```
/// use tranship_mirror::rules::NamePattern;
///
/// let pattern: NamePattern = "team/**".parse()?;
/// assert!(pattern.matches(&"team/a/b".parse()?));
/// assert!(!pattern.matches(&"team".parse()?));
/// assert_eq!(pattern.prefix(), "team/");
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct NamePattern {
    text: String,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Name(RepositoryName),
    Wildcards(Vec<Token>),
    Regex(Regex),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// One byte that is not a slash.
    One,
    /// Any text without a slash.
    Component,
    /// Any text.
    Anything,
}

impl NamePattern {
    /// Returns the pattern that matches every repository: `**`.
    #[must_use]
    pub fn all() -> Self {
        Self {
            text: "**".into(),
            form: Form::Wildcards(vec![Token::Anything]),
        }
    }

    /// Returns the pattern that matches this repository alone.
    #[must_use]
    pub fn of_name(name: RepositoryName) -> Self {
        Self {
            text: name.to_string(),
            form: Form::Name(name),
        }
    }

    /// Returns the pattern that matches the names in which the regular expression matches anywhere. Such a pattern has no
    /// [`prefix`](Self::prefix), and [`FromStr`] does not read it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if `pattern` is not a regular expression.
    pub fn regex(pattern: &str) -> Result<Self> {
        let regex = Regex::new(pattern).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "not a regular expression")
                .with_subject(Printable(pattern))
                .with_source(error)
        })?;
        Ok(Self {
            text: pattern.to_owned(),
            form: Form::Regex(regex),
        })
    }

    /// Returns whether `name` is one of the repositories.
    #[must_use]
    pub fn matches(&self, name: &RepositoryName) -> bool {
        match &self.form {
            Form::Name(only) => only == name,
            Form::Wildcards(tokens) => wildcards_match(tokens, name.as_str().as_bytes()),
            Form::Regex(regex) => regex.is_match(name.as_str()),
        }
    }

    /// Returns the name, if the pattern has no wildcard, so that nothing needs to be listed.
    #[must_use]
    pub fn literal(&self) -> Option<RepositoryName> {
        match &self.form {
            Form::Name(name) => Some(name.clone()),
            Form::Wildcards(_) | Form::Regex(_) => None,
        }
    }

    /// Returns the text that every matching name begins with: the pattern up to its first wildcard. A listing of
    /// repositories can begin there.
    #[must_use]
    pub fn prefix(&self) -> &str {
        match &self.form {
            Form::Name(_) => &self.text,
            Form::Wildcards(_) => self.text.split(['*', '?']).next().unwrap_or_default(),
            Form::Regex(_) => "",
        }
    }
}

/// Runs the pattern as an automaton, so that the time is bounded by the product of both lengths.
fn wildcards_match(tokens: &[Token], name: &[u8]) -> bool {
    let mut states = vec![false; tokens.len() + 1];
    states[0] = true;
    skip_empty(tokens, &mut states);
    for &byte in name {
        let mut next = vec![false; states.len()];
        for (at, token) in tokens.iter().enumerate().filter(|(at, _)| states[*at]) {
            match token {
                Token::Byte(expected) => next[at + 1] |= *expected == byte,
                Token::One => next[at + 1] |= byte != b'/',
                Token::Component => next[at] |= byte != b'/',
                Token::Anything => next[at] = true,
            }
        }
        skip_empty(tokens, &mut next);
        states = next;
    }
    states[tokens.len()]
}

/// Lets wildcards that may match nothing do that.
fn skip_empty(tokens: &[Token], states: &mut [bool]) {
    for (at, token) in tokens.iter().enumerate() {
        if states[at] && matches!(token, Token::Component | Token::Anything) {
            states[at + 1] = true;
        }
    }
}

impl FromStr for NamePattern {
    type Err = Error;

    /// Reads a name or a pattern.
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidReference`] if it has no wildcard and is not the name of a repository.
    /// - [`ErrorKind::InvalidInput`] if it has a wildcard and no name can match, or if it is longer than 512 bytes.
    fn from_str(text: &str) -> Result<Self> {
        let invalid = |why| {
            Error::new(ErrorKind::InvalidInput, why)
                .with_subject(Printable(text))
                .with_hint(FORMS)
        };
        if !text.contains(['*', '?']) {
            return Ok(Self::of_name(text.parse()?));
        }
        if text.len() > MAX_LENGTH {
            return Err(invalid("the pattern is longer than 512 bytes"));
        }
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(invalid("the names of repositories are lower case"));
        }
        if !text.bytes().all(is_pattern_byte) {
            return Err(invalid(
                "the pattern has a character that no name of a repository has",
            ));
        }
        if text.starts_with('/') || text.ends_with('/') || text.contains("//") {
            return Err(invalid("the pattern has an empty component"));
        }
        if text.contains("***") {
            return Err(invalid("the pattern has three asterisks in a row"));
        }
        Ok(Self {
            text: text.to_owned(),
            form: Form::Wildcards(tokens(text)),
        })
    }
}

fn is_pattern_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-/*?".contains(&byte)
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for byte in text.bytes() {
        match (byte, tokens.last()) {
            (b'*', Some(Token::Component)) => {
                tokens.pop();
                tokens.push(Token::Anything);
            }
            (b'*', _) => tokens.push(Token::Component),
            (b'?', _) => tokens.push(Token::One),
            (byte, _) => tokens.push(Token::Byte(byte)),
        }
    }
    tokens
}

impl PartialEq for NamePattern {
    fn eq(&self, other: &Self) -> bool {
        let is_regex = |pattern: &Self| matches!(pattern.form, Form::Regex(_));
        self.text == other.text && is_regex(self) == is_regex(other)
    }
}

impl Eq for NamePattern {}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_within_and_across_slashes() {
        for (pattern, name, expected) in [
            ("library/alpine", "library/alpine", true),
            ("library/alpine", "library/alpine3", false),
            ("team/*", "team/app", true),
            ("team/*", "team", false),
            ("team/*", "team/a/b", false),
            ("team/**", "team/app", true),
            ("team/**", "team/a/b", true),
            ("team/**", "team", false),
            ("team/**", "teams/app", false),
            ("**/app", "team/app", true),
            ("**/app", "team/a/app", true),
            ("**/app", "app", false),
            ("**", "a/b/c", true),
            ("*", "app", true),
            ("*", "team/app", false),
            ("te?m/app", "team/app", true),
            ("te?m/app", "tem/app", false),
            ("team?app", "team/app", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1b2", false),
            ("a/**/b", "a/x/y/b", true),
            ("a/**/b", "a/b", false),
            ("a**b", "a/x/b", true),
            ("app-*", "app-", false),
        ] {
            let parsed: NamePattern = pattern.parse().expect(pattern);
            let Ok(name) = name.parse() else {
                assert!(!expected, "{name} is not a name");
                continue;
            };
            assert_eq!(parsed.matches(&name), expected, "{name} in {pattern}");
            assert_eq!(parsed.to_string(), pattern);
        }
    }

    #[test]
    fn only_a_name_is_literal() {
        let literal = |text: &str| text.parse::<NamePattern>().expect(text).literal();
        assert_eq!(
            literal("library/alpine").map(|name| name.to_string()),
            Some("library/alpine".into())
        );
        assert_eq!(literal("library/*"), None);
    }

    #[test]
    fn the_prefix_ends_before_the_first_wildcard() {
        for (pattern, prefix) in [
            ("library/alpine", "library/alpine"),
            ("library/al*", "library/al"),
            ("te?m/app", "te"),
            ("**", ""),
        ] {
            let parsed: NamePattern = pattern.parse().expect(pattern);
            assert_eq!(parsed.prefix(), prefix);
        }
        let regex = NamePattern::regex("^team/").expect("a regex");
        assert_eq!(regex.prefix(), "");
    }

    #[test]
    fn a_regular_expression_is_searched_for() -> Result<()> {
        let pattern = NamePattern::regex("^team/|app$")?;
        for (name, expected) in [("team/x", true), ("my/app", true), ("my/apps", false)] {
            assert_eq!(pattern.matches(&name.parse()?), expected, "{name}");
        }
        let error = NamePattern::regex("(").expect_err("open");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        Ok(())
    }

    #[test]
    fn a_pattern_that_matches_no_name_is_an_error() {
        for text in [
            "", "Team/*", "Team", "/team/*", "team/*/", "team//*", "team:*", "a***", "tëam/*",
            "{a,b}/*", "[ab]*",
        ] {
            assert!(text.parse::<NamePattern>().is_err(), "{text}");
        }
        assert!("*".repeat(2).parse::<NamePattern>().is_ok());
        assert!(
            format!("{}*", "a".repeat(600))
                .parse::<NamePattern>()
                .is_err()
        );
    }

    #[test]
    fn many_wildcards_take_bounded_time() -> Result<()> {
        let pattern: NamePattern = "a*".repeat(100).parse()?;
        let name: RepositoryName = "a".repeat(200).parse()?;
        assert!(pattern.matches(&name));
        let other: NamePattern = format!("{}b", "a*".repeat(100)).parse()?;
        assert!(!other.matches(&name));
        Ok(())
    }
}
