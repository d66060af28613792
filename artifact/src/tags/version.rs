//! Tags that are versions, and their order.

use std::cmp::Ordering;
use std::str::FromStr;

use tranship::{Error, ErrorKind, Printable, Result, Tag};

/// A tag that reads as a version, such as `v1.2.3`, `3.19`, `20240101` or `1.2.3-rc.1`.
///
/// A version is one to four numbers with dots between them, perhaps after a `v`. Text after a `-` is a pre-release;
/// text after a `_` is build metadata, which Helm writes in place of a `+`. Numbers that are missing count as 0, and
/// leading zeros are allowed.
///
/// Versions are ordered as [Semantic Versioning](https://semver.org/#spec-item-11) says, except that numbers inside a
/// part of a pre-release count as numbers: `rc9` is less than `rc10`. Build metadata does not count.
///
/// ```
/// use tranship_artifact::tags::TagVersion;
///
/// let version = |text: &str| text.parse::<TagVersion>();
/// assert!(version("v1.10")? > version("1.9.3")?);
/// assert!(version("2.0.0-rc9")? < version("2.0.0-rc10")?);
/// assert!(version("2.0.0-rc10")? < version("2.0.0")?);
/// assert!(version("latest").is_err());
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagVersion {
    numbers: [u64; 4],
    pre_release: Vec<Vec<Piece>>,
}

/// A run of digits, or of anything else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Number(u64),
    Text(String),
}

impl TagVersion {
    /// Returns whether there is a pre-release part, as in `1.2.3-rc.1`.
    #[must_use]
    pub fn is_pre_release(&self) -> bool {
        !self.pre_release.is_empty()
    }

    /// Orders tags by version. Tags that are not versions come first, and tags of equal versions are in ASCII order.
    #[must_use]
    pub fn compare(a: &Tag, b: &Tag) -> Ordering {
        let version = |tag: &Tag| tag.as_str().parse::<Self>().ok();
        version(a)
            .cmp(&version(b))
            .then_with(|| a.as_str().cmp(b.as_str()))
    }

    /// The first three numbers, as Semantic Versioning has them.
    pub(super) fn triple(&self) -> semver::Version {
        let [major, minor, patch, _] = self.numbers;
        semver::Version::new(major, minor, patch)
    }
}

impl FromStr for TagVersion {
    type Err = Error;

    /// Reads a version.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the text is not a version.
    fn from_str(text: &str) -> Result<Self> {
        parse(text).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "not a version")
                .with_subject(Printable(text))
                .with_hint("versions are such as v1.2.3, 3.19 or 1.2.3-rc.1")
        })
    }
}

fn parse(text: &str) -> Option<TagVersion> {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let (text, _build) = text.split_once(['+', '_']).unwrap_or((text, ""));
    let (core, pre_release) = match text.split_once('-') {
        Some((core, pre_release)) => (core, Some(pre_release)),
        None => (text, None),
    };
    let mut numbers = [0; 4];
    for (at, part) in core.split('.').enumerate() {
        *numbers.get_mut(at)? = number(part)?;
    }
    let pre_release = match pre_release {
        Some(text) => text.split('.').map(pieces).collect::<Option<Vec<_>>>()?,
        None => Vec::new(),
    };
    Some(TagVersion {
        numbers,
        pre_release,
    })
}

fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// Splits one part of a pre-release where digits begin or end.
fn pieces(part: &str) -> Option<Vec<Piece>> {
    if part.is_empty() {
        return None;
    }
    let mut pieces = Vec::new();
    let mut rest = part;
    while let Some(first) = rest.chars().next() {
        let is_digit = first.is_ascii_digit();
        let end = rest
            .find(|next: char| next.is_ascii_digit() != is_digit)
            .unwrap_or(rest.len());
        let (piece, behind) = rest.split_at(end);
        pieces.push(match number(piece) {
            Some(number) => Piece::Number(number),
            None => Piece::Text(piece.to_owned()),
        });
        rest = behind;
    }
    Some(pieces)
}

impl Ord for TagVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_numbers = self.numbers.cmp(&other.numbers);
        by_numbers.then_with(|| match (self.is_pre_release(), other.is_pre_release()) {
            // A pre-release is less than what it leads to.
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            _ => self.pre_release.cmp(&other.pre_release),
        })
    }
}

impl PartialOrd for TagVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_the_order_of_their_numbers() {
        let ordered = [
            "0.9",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-beta",
            "1.0.0-beta2",
            "1.0.0-beta11",
            "1.0.0-rc.1",
            "v1.0.0",
            "1.0.1",
            "1.2",
            "1.10",
            "2",
            "2.0.0.1",
            "20240101",
            "20240102.03",
        ];
        for pair in ordered.windows(2) {
            let [a, b] = [pair[0], pair[1]].map(|text| text.parse::<TagVersion>().expect(text));
            assert!(a < b, "{} < {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn missing_numbers_and_build_metadata_do_not_count() {
        for (a, b) in [
            ("1", "1.0.0"),
            ("v1.2", "1.2.0"),
            ("1.2.3_build5", "1.2.3"),
            ("01.2", "1.2"),
        ] {
            let [a, b] = [a, b].map(|text| text.parse::<TagVersion>().expect(text));
            assert_eq!(a.cmp(&b), Ordering::Equal);
        }
    }

    #[test]
    fn other_tags_are_not_versions() {
        for text in [
            "",
            "v",
            "latest",
            "1.",
            ".1",
            "1..2",
            "1.2.3.4.5",
            "1.x",
            "1-",
            "1-a..b",
            "99999999999999999999",
            "sha256-abc",
            "+1",
        ] {
            assert!(text.parse::<TagVersion>().is_err(), "{text}");
        }
    }

    #[test]
    fn tags_that_are_not_versions_come_first() {
        let mut tags: Vec<Tag> = ["v2", "latest", "v1.10", "v1.9", "1.9", "edge"]
            .map(|tag| tag.parse().expect("a tag"))
            .into();
        tags.sort_by(TagVersion::compare);
        let names: Vec<&str> = tags.iter().map(Tag::as_str).collect();
        assert_eq!(names, ["edge", "latest", "1.9", "v1.9", "v1.10", "v2"]);
    }
}
