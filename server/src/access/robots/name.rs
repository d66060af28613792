//! Names of robot accounts.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use tranship::{Error, ErrorKind, Result};

/// The longest name, in bytes.
const MAX_LENGTH: usize = 64;

/// The name of a robot account: up to 64 letters, digits, `-`, `_` and `.`, of which the first is a letter or a digit.
/// A shell needs no quotes for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RobotName(Arc<str>);

impl RobotName {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RobotName {
    type Err = Error;

    /// Parses a name.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it has other characters, or too many.
    fn from_str(text: &str) -> Result<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let begins_plain = text.starts_with(|first: char| first.is_ascii_alphanumeric());
        if begins_plain && text.len() <= MAX_LENGTH && text.bytes().all(is_plain) {
            return Ok(Self(text.into()));
        }
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "invalid account name: expected up to {MAX_LENGTH} letters, digits, -, _ and ., \
                 such as ci-push"
            ),
        ))
    }
}

impl fmt::Display for RobotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_needs_no_quotes_in_a_shell() {
        for text in ["ci", "ci-push_2.x", "7", &"a".repeat(64)] {
            let name: RobotName = text.parse().expect(text);
            assert_eq!(name.to_string(), text);
        }
        for text in [
            "",
            "-a",
            ".a",
            "a b",
            "robot$a",
            "a:b",
            "a/b",
            "ü",
            "a\n",
            &"a".repeat(65),
        ] {
            text.parse::<RobotName>().expect_err(text);
        }
    }
}
