//! Errors about invalid references, without the passwords that such a text may have.

use std::borrow::Cow;

use crate::error::{Error, ErrorKind};
use crate::printable::Printable;

/// Returns the error that `text` is not a valid reference or part of one.
pub(super) fn invalid(text: &str, why: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidReference, why)
        .with_subject(Printable(&without_user_information(text)))
}

/// Returns `text`, which was to name a registry, for an error or a log: of `user:password@host`, which has a secret, the
/// user information becomes `…`.
///
/// ```
/// use tranship::without_user_information;
///
/// assert_eq!(without_user_information("https://me:secret@host/app"), "https://…@host/app");
/// ```
#[must_use]
pub fn without_user_information(text: &str) -> Cow<'_, str> {
    let start = match text.find("://") {
        Some(at) => at + 3,
        None if text.starts_with("//") => 2,
        None => 0,
    };
    let (scheme, rest) = text.split_at(start);
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.rsplit_once('@') {
        Some((user, behind)) if behind.parse::<crate::Digest>().is_err() => {
            Cow::Owned(format!("{scheme}…{}", &rest[user.len()..]))
        }
        _ => Cow::Borrowed(text),
    }
}
