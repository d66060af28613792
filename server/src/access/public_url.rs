//! URLs that clients or logs get to see.

use tranship::{Error, ErrorKind, Result};
use url::Url;

/// Parses a URL of the settings that is sent to clients or logged, and thus must not have a password. `what` names it in
/// errors.
///
/// # Errors
/// `InvalidInput` if it is not a URL, or if it has a user or a password. The error does not have the URL then.
pub(super) fn parse(what: &str, text: &str) -> Result<Url> {
    let invalid = |message: String| Error::new(ErrorKind::InvalidInput, message);
    let url: Url = text.parse().map_err(|_| {
        let error = invalid(format!("{what} is not a URL"));
        // The part before an @ may be a password.
        if text.contains('@') {
            error
        } else {
            error.with_subject(text)
        }
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        let message = format!("{what} has a user or a password, which others would see");
        return Err(invalid(message).with_hint("remove the part before the @"));
    }
    Ok(url)
}
