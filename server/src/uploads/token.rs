//! What stands for an upload in URLs.

use std::fmt;
use std::sync::Arc;

use tranship::{Error, ErrorKind, UploadId};

use crate::failure::{About, Failure};

/// The longest token that is looked at, in bytes.
const MAX_LENGTH: usize = 128;

/// What stands for an upload in URLs: letters, digits, `-` and `_`.
///
/// Where the backend's id is no more than that, it is the id, so that an upload can be resumed after a
/// restart. An id that says more, such as the URL of an upload at another registry, stays here: a client
/// would learn from it what it should not know, and could write one of its own, to have us send our
/// credentials somewhere.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Token(Arc<str>);

impl Token {
    /// The token of an upload that a backend has begun.
    pub(super) fn of(id: &UploadId) -> Result<Self, Failure> {
        if is_plain(id.as_str()) {
            return Ok(Self(id.as_str().into()));
        }
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| {
            let error = Error::new(ErrorKind::Io, "the system has no random numbers")
                .with_source(error.to_string());
            Failure::of(&error, About::Upload)
        })?;
        let number = u128::from_be_bytes(bytes);
        Ok(Self(format!("{number:032x}").into()))
    }

    /// The token that a client sends.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        if is_plain(text) {
            return Ok(Self(text.into()));
        }
        Err(Failure::of(&Error::not_found("upload"), About::Upload))
    }

    /// The id of an upload that was begun before this process was.
    pub(super) fn as_id(&self) -> UploadId {
        UploadId::new(Arc::clone(&self.0))
    }

    pub(super) fn as_str(&self) -> &str {
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
    fn an_id_that_leads_somewhere_stays_here() {
        let id = UploadId::new("app https://registry.example/v2/app/blobs/uploads/1?state=secret");
        let [one, two] = [0, 1].map(|_| Token::of(&id).expect("a token"));
        assert_ne!(one, two);
        assert_eq!(one.as_str().len(), 32);
        assert_ne!(one.as_id(), id);
    }

    #[test]
    fn what_a_client_makes_up_reaches_no_backend() {
        for text in ["", ".", "..", "a/b", "a b", "http://x", "a?b", "a%2fb", "ü"] {
            Token::parse(text).expect_err(text);
        }
        Token::parse(&"a".repeat(MAX_LENGTH + 1)).expect_err("too long");
    }
}
