//! What the arguments are read as, where the core has no type for it, and what locations need here.

use std::str::FromStr;

use tranship::{ByteRange, Digest, Error, ErrorKind, Location, Result, Tag, TagOrDigest};

/// What `--help` says about locations.
pub(crate) const HELP: &str = "\
Locations:
  oci:PATH[:TAG|@DIGEST]             an image layout in the directory PATH
  layouts:ROOT//NAME[:TAG|@DIGEST]   the layout NAME in the directory ROOT
  HOST/NAME[:TAG|@DIGEST]            a registry's, as docker.io/library/alpine:3";

/// The tag or digest, which must be there.
pub(crate) fn required_reference(location: &Location) -> Result<&TagOrDigest> {
    location.reference().ok_or_else(|| {
        Error::new(ErrorKind::InvalidReference, "a tag or a digest is missing")
            .with_subject(location)
            .with_hint(format!(
                "write :TAG or @DIGEST behind it; `tranship repo tags {}` lists the tags",
                quoted(location)
            ))
    })
}

/// The digest, which must be there.
pub(crate) fn required_digest(location: &Location) -> Result<Digest> {
    match location.reference() {
        Some(TagOrDigest::Digest(digest)) => Ok(*digest),
        _ => Err(
            Error::new(ErrorKind::InvalidReference, "a digest is missing")
                .with_subject(location)
                .with_hint("blobs have no tags: write @DIGEST behind the location"),
        ),
    }
}

/// The tag, which must be there.
pub(crate) fn required_tag(location: &Location) -> Result<&Tag> {
    match required_reference(location)? {
        TagOrDigest::Tag(tag) => Ok(tag),
        TagOrDigest::Digest(_) => Err(Error::new(
            ErrorKind::InvalidReference,
            "this is a digest, and only tags can be removed",
        )
        .with_subject(location)
        .with_hint("`tranship manifest delete` deletes what a digest names")),
    }
}

/// That there is neither tag nor digest.
pub(crate) fn no_reference(location: &Location) -> Result<()> {
    match location.reference() {
        None => Ok(()),
        Some(_) => Err(Error::new(
            ErrorKind::InvalidReference,
            "a repository is meant, without a tag or digest",
        )
        .with_subject(location)),
    }
}

/// Where a copy goes. Other tools take several tags with commas between them.
pub(crate) fn parse_destination(text: &str) -> Result<Location> {
    text.parse().map_err(|error: Error| {
        if text.contains(',') {
            error.with_hint("give further tags with --tag")
        } else {
            error
        }
    })
}

/// A location as one word of a shell.
pub(crate) fn quoted(location: &Location) -> String {
    let text = location.to_string();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/:.@_-+%,=".contains(&byte);
    if text.bytes().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// `KEY[=VALUE]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnnotationFilter {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
}

impl FromStr for AnnotationFilter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (text, None),
        };
        if key.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the key of the annotation is empty",
            ));
        }
        let key = key.to_owned();
        Ok(Self { key, value })
    }
}

/// `START-[END]`, both inclusive, as in HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RangeArg(pub(crate) ByteRange);

impl FromStr for RangeArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || {
            Error::new(
                ErrorKind::InvalidInput,
                format!("{text:?} is no range of bytes"),
            )
            .with_hint("write for example 0-99 for the first hundred bytes, or 100- for the rest")
        };
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<u64>().map_err(|_| invalid()),
            false => Err(invalid()),
        };
        let (start, end) = text.split_once('-').ok_or_else(invalid)?;
        let start = number(start)?;
        if end.is_empty() {
            return Ok(Self(ByteRange::from(start..)));
        }
        let end = number(end)?;
        if end < start {
            return Err(invalid());
        }
        Ok(Self(ByteRange::from(start..=end)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_inclusive_at_both_ends() {
        let range = |text: &str| text.parse::<RangeArg>().map(|range| range.0).ok();
        assert_eq!(range("0-99"), Some((0..100).into()));
        assert_eq!(range("7-7"), Some((7..8).into()));
        assert_eq!(range("7-"), Some((7..).into()));
        for text in ["", "-", "7", "-7", "9-7", "a-b", "+1-2", "1-2-3"] {
            assert_eq!(range(text), None, "{text}");
        }
    }

    #[test]
    fn an_annotation_filter_has_a_key_and_perhaps_a_value() {
        let parse = |text: &str| {
            text.parse::<AnnotationFilter>()
                .map(|filter| (filter.key, filter.value))
                .ok()
        };
        assert_eq!(parse("a"), Some(("a".into(), None)));
        assert_eq!(parse("a="), Some(("a".into(), Some(String::new()))));
        assert_eq!(parse("a=b=c"), Some(("a".into(), Some("b=c".into()))));
        assert_eq!(parse("=b"), None);
    }

    #[test]
    fn what_a_shell_would_split_is_quoted() -> Result<()> {
        assert_eq!(quoted(&"oci:dir:v1".parse()?), "oci:dir:v1");
        assert_eq!(quoted(&"oci:a b".parse()?), "'oci:a b'");
        assert_eq!(quoted(&"oci:it's".parse()?), r"'oci:it'\''s'");
        Ok(())
    }
}
