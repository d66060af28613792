//! The name of an upload in URLs.

use std::fmt;
use std::sync::Arc;

use tranship::{Error, UploadId};

use crate::random::random_id;
use crate::response_error::{Resource, ResponseError};

/// The longest token that is accepted, in bytes.
const MAX_LENGTH: usize = 128;

/// The name of an upload in URLs: letters, digits, `-` and `_`.
///
/// If the id of the backend has this form, it is the token, so that an upload can be resumed after a restart. Any other
/// id, such as the URL of an upload at another registry, is not sent to clients: it could tell them a secret, and a
/// client could send one that makes the server pass its credentials to another host.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Token(Arc<str>);

impl Token {
    /// Returns the token of an upload that a backend has started.
    pub(crate) fn of(id: &UploadId) -> Result<Self, ResponseError> {
        if is_plain(id.as_str()) {
            return Ok(Self(id.as_str().into()));
        }
        match random_id() {
            Ok(id) => Ok(Self(id.into())),
            Err(error) => Err(ResponseError::from_backend(&error, Resource::Upload)),
        }
    }

    /// Parses a token that a client sends.
    pub(crate) fn parse(text: &str) -> Result<Self, ResponseError> {
        if is_plain(text) {
            return Ok(Self(text.into()));
        }
        Err(ResponseError::from_backend(
            &Error::not_found("upload"),
            Resource::Upload,
        ))
    }

    /// Returns the id of an upload that an earlier process started.
    pub(crate) fn as_id(&self) -> UploadId {
        UploadId::new(Arc::clone(&self.0))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

fn is_plain(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_id_is_its_own_token() {
        let id = UploadId::new("0aF-_9");
        let token = Token::of(&id).expect("a token");
        assert_eq!(token.as_str(), id.as_str());
        assert_eq!(Token::parse("0aF-_9").expect("a token").as_id(), id);
    }

    #[test]
    fn an_id_with_a_url_gets_a_random_token() {
        let id = UploadId::new("app https://registry.example/v2/app/blobs/uploads/1?state=secret");
        let [one, two] = [0, 1].map(|_| Token::of(&id).expect("a token"));
        assert_ne!(one, two);
        assert_eq!(one.as_str().len(), 32);
        assert_ne!(one.as_id(), id);
    }

    #[test]
    fn an_invalid_token_is_unknown() {
        for text in ["", ".", "..", "a/b", "a b", "http://x", "a?b", "a%2fb", "ü"] {
            Token::parse(text).expect_err(text);
        }
        Token::parse(&"a".repeat(MAX_LENGTH + 1)).expect_err("too long");
    }
}
