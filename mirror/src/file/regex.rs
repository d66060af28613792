//! Regular expressions of other tools, which are searched for instead of matching the whole text.

use regex_lite::Regex;
use tranship::{Error, ErrorKind, Printable, Result};

/// Returns the expression that matches a whole text in which `pattern` matches anywhere.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if `pattern` alone is not a regular expression.
pub(super) fn searched(pattern: &str) -> Result<String> {
    Regex::new(pattern).map_err(|error| {
        Error::new(ErrorKind::InvalidInput, "not a regular expression")
            .with_subject(Printable(pattern))
            .with_source(error)
            .with_hint("classes such as \\p{L} are not supported")
    })?;
    // Tags and names do not have line breaks, which a dot does not match.
    Ok(format!(".*(?:{pattern}).*"))
}
