//! The tag or digest behind a path or a URL.

use std::fmt;

use tranship::{Error, ErrorKind, Printable, Result, Tag, TagOrDigest};

/// The methods of a location that are about its `reference`.
macro_rules! tag_or_digest {
    ($location:literal, $rest:literal) => {
        /// The tag or digest, if one was given.
        #[must_use]
        pub fn reference(&self) -> Option<&TagOrDigest> {
            self.reference.as_ref()
        }

        #[doc = concat!("The same ", $location, " with another tag or digest.")]
        #[must_use]
        pub fn with_reference(mut self, reference: impl Into<TagOrDigest>) -> Self {
            self.reference = Some(reference.into());
            self
        }

        #[doc = concat!("The ", $rest, " alone.")]
        #[must_use]
        pub fn without_reference(mut self) -> Self {
            self.reference = None;
            self
        }
    };
}

pub(super) use tag_or_digest;

/// Writes `:TAG`, `@DIGEST`, or nothing.
pub(super) struct Suffix<'a>(pub(super) Option<&'a TagOrDigest>);

impl fmt::Display for Suffix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some(TagOrDigest::Tag(tag)) => write!(f, ":{tag}"),
            Some(TagOrDigest::Digest(digest)) => write!(f, "@{digest}"),
        }
    }
}

/// A path or a URL, and the tag or digest behind it.
pub(super) type Parts<'a> = (&'a str, Option<TagOrDigest>);

/// Writes a path or a URL and the tag or digest behind it, with a slash between them unless `split`
/// takes them apart without one.
pub(super) fn write_behind(
    f: &mut fmt::Formatter<'_>,
    head: &str,
    reference: Option<&TagOrDigest>,
    split: fn(&str) -> Result<Parts<'_>>,
) -> fmt::Result {
    let suffix = Suffix(reference);
    let is_plain = split(&format!("{head}{suffix}"))
        .is_ok_and(|(before, behind)| before == head && behind.as_ref() == reference);
    let slash = if is_plain { "" } else { "/" };
    write!(f, "{head}{slash}{suffix}")
}

/// Takes the tag or digest off the last component of a path.
pub(super) fn split(text: &str) -> Result<Parts<'_>> {
    let (tagged, digest) = split_digest(text);
    let digest = digest.map(str::parse::<TagOrDigest>).transpose()?;
    let start = last_component(tagged);
    let (path, tag) = match tagged[start..].rsplit_once(':') {
        None => (tagged, None),
        Some((_, "")) => {
            let why = "the tag behind the last colon is empty";
            return Err(invalid(text, why)
                .with_hint("a path that ends with a colon needs a slash behind it"));
        }
        Some((name, tag)) => (&tagged[..start + name.len()], Some(tag.parse::<Tag>()?)),
    };
    let tag = tag.map(TagOrDigest::Tag);
    Ok((path, digest.or(tag)))
}

/// Takes the digest off the last component of a path, without a look at whether it is a good one.
pub(super) fn split_digest(text: &str) -> (&str, Option<&str>) {
    let start = last_component(text);
    let digest = text[start..]
        .match_indices('@')
        .map(|(at, _)| start + at)
        .find(|at| begins_as_digest(&text[at + 1..]));
    match digest {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// Where the last component of a path begins.
pub(super) fn last_component(text: &str) -> usize {
    text.rfind(['/', '\\']).map_or(0, |slash| slash + 1)
}

/// Whether text behind an `@` is meant as a digest. Nothing at all is one left out by mistake.
fn begins_as_digest(text: &str) -> bool {
    const FAMILIES: [&str; 6] = ["sha1", "sha2", "sha3", "sha5", "md5", "blake"];
    let Some((algorithm, _)) = text.split_once(':') else {
        return text.is_empty();
    };
    let algorithm = algorithm.to_ascii_lowercase();
    FAMILIES.iter().any(|family| algorithm.starts_with(family))
}

pub(super) fn invalid(text: &str, why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidReference, why).with_subject(Printable(text))
}
