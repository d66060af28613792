//! Tags, and the choice between a tag and a digest.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::redaction::invalid;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::printable::Printable;

const MAX_LENGTH: usize = 128;

/// A tag: a name in a repository that can be moved from one manifest to another, such as `v1.2`.
///
/// 1 to 128 ASCII letters, digits, `_`, `.` and `-`, of which `.` and `-` cannot come first. So a tag is
/// never `.` or `..`, and safe as a file name where upper and lower case differ.
///
/// ```
/// use tranship::Tag;
///
/// let tag: Tag = "v1.2".parse()?;
/// assert_eq!(tag.as_str(), "v1.2");
/// assert!("-v1.2".parse::<Tag>().is_err());
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The tag `latest`, which a reference without a tag and a digest stands for.
    #[must_use]
    pub fn latest() -> Self {
        Self("latest".into())
    }
}

impl FromStr for Tag {
    type Err = Error;

    /// Reads a tag; `Reference.ValidateReferenceAsTag` in ORAS Go.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidReference`] if it is none.
    fn from_str(text: &str) -> Result<Self> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let why = match text.as_bytes() {
            [] => "the tag is empty",
            bytes if bytes.len() > MAX_LENGTH => "the tag is longer than 128 characters",
            [first, ..] if !is_word(*first) => {
                "the tag does not start with a letter, a digit or '_'"
            }
            bytes if !bytes.iter().all(|&b| is_word(b) || b == b'.' || b == b'-') => {
                "the tag has other characters than letters, digits, '_', '.' and '-'"
            }
            _ => return Ok(Self(text.into())),
        };
        Err(invalid(text, why))
    }
}

text_newtype!(Tag);

/// What names a manifest in a repository: a tag or a digest.
///
/// As text the two cannot be confused: a digest has a colon, a tag has none. Tags sort before
/// digests.
///
/// ```
/// use tranship::{Digest, TagOrDigest};
///
/// let tag: TagOrDigest = "v1".parse()?;
/// assert_eq!(tag.tag().map(|tag| tag.as_str()), Some("v1"));
/// let digest: TagOrDigest = Digest::of(b"hello").to_string().parse()?;
/// assert_eq!(digest.digest(), Some(&Digest::of(b"hello")));
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TagOrDigest {
    /// A tag, which may move.
    Tag(Tag),
    /// A digest, which always names the same content.
    Digest(Digest),
}

impl TagOrDigest {
    /// The tag, if it is one.
    #[must_use]
    pub fn tag(&self) -> Option<&Tag> {
        match self {
            Self::Tag(tag) => Some(tag),
            Self::Digest(_) => None,
        }
    }

    /// The digest, if it is one.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Tag(_) => None,
            Self::Digest(digest) => Some(digest),
        }
    }
}

impl From<Tag> for TagOrDigest {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl From<Digest> for TagOrDigest {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl FromStr for TagOrDigest {
    type Err = Error;

    /// Reads a digest if there is a colon, else a tag; `Reference.ValidateReference` in ORAS Go.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidReference`] if it is neither, or empty. The source says what is wrong
    /// with a digest, such as an algorithm that is not supported.
    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() {
            Err(invalid(text, "the tag or digest is empty"))
        } else if text.contains(':') {
            parse_digest(text).map(Self::Digest)
        } else {
            text.parse().map(Self::Tag)
        }
    }
}

/// A digest as a part of a reference, where every failure is one of the reference.
pub(super) fn parse_digest(text: &str) -> Result<Digest> {
    text.parse().map_err(|error: Error| {
        Error::new(ErrorKind::InvalidReference, "the digest is not valid")
            .with_subject(Printable(text))
            .with_source(error)
    })
}

impl fmt::Display for TagOrDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => fmt::Display::fmt(tag, f),
            Self::Digest(digest) => fmt::Display::fmt(digest, f),
        }
    }
}
