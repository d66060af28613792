//! Which tags are chosen.

use regex_lite::Regex;
use tranship::{Error, ErrorKind, Printable, Result, Tag};
use wildmatch::WildMatch;

use super::range::VersionRange;
use super::version::TagVersion;

/// Chooses tags by name and by version. The default chooses all.
///
/// A tag is chosen if all of these hold: it matches one of the patterns, or there is none; it matches no pattern that
/// excludes; its version lies within the range, if there is one; and it is not a digest tag, if those are excluded.
///
/// ```
/// use tranship_artifact::tags::TagFilter;
///
/// let filter = TagFilter::default().with_glob("v1.*").with_glob("!*-rc*");
/// assert!(filter.matches(&"v1.2".parse()?));
/// assert!(!filter.matches(&"v1.2-rc1".parse()?));
/// assert!(!filter.matches(&"latest".parse()?));
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct TagFilter {
    globs: Vec<WildMatch>,
    excluded: Vec<WildMatch>,
    regexes: Vec<Regex>,
    excluded_regexes: Vec<Regex>,
    versions: Option<VersionRange>,
    excludes_digest_tags: bool,
}

impl TagFilter {
    /// Adds a pattern in which `*` matches any text and `?` one character. With a `!` in front, tags that match
    /// the rest are excluded.
    #[must_use]
    pub fn with_glob(mut self, pattern: &str) -> Self {
        match pattern.strip_prefix('!') {
            Some(excluded) => self.excluded.push(WildMatch::new(excluded)),
            None => self.globs.push(WildMatch::new(pattern)),
        }
        self
    }

    /// Adds a regular expression, which must match the whole tag.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is not a regular expression.
    pub fn with_regex(mut self, pattern: &str) -> Result<Self> {
        self.regexes.push(whole(pattern)?);
        Ok(self)
    }

    /// Excludes the tags that a regular expression matches as a whole.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is not a regular expression.
    pub fn with_excluded_regex(mut self, pattern: &str) -> Result<Self> {
        self.excluded_regexes.push(whole(pattern)?);
        Ok(self)
    }

    /// Chooses only tags that are versions within `range`.
    #[must_use]
    pub fn with_versions(mut self, range: VersionRange) -> Self {
        self.versions = Some(range);
        self
    }

    /// Leaves out tags that attach something to a digest: `sha256-HEX`, alone or with a suffix such as `.sig`.
    #[must_use]
    pub fn without_digest_tags(mut self) -> Self {
        self.excludes_digest_tags = true;
        self
    }

    /// Returns whether the filter chooses every tag.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.globs.is_empty()
            && self.excluded.is_empty()
            && self.regexes.is_empty()
            && self.excluded_regexes.is_empty()
            && self.versions.is_none()
            && !self.excludes_digest_tags
    }

    /// Returns whether a range of versions decides about pre-releases, too.
    #[must_use]
    pub fn has_versions(&self) -> bool {
        self.versions.is_some()
    }

    /// Returns whether `tag` is chosen.
    #[must_use]
    pub fn matches(&self, tag: &Tag) -> bool {
        let name = tag.as_str();
        let has_pattern = !self.globs.is_empty() || !self.regexes.is_empty();
        let is_named = self.globs.iter().any(|glob| glob.matches(name))
            || self.regexes.iter().any(|regex| regex.is_match(name));
        let is_excluded = self.excluded.iter().any(|glob| glob.matches(name))
            || self
                .excluded_regexes
                .iter()
                .any(|regex| regex.is_match(name))
            || self.excludes_digest_tags && is_digest_tag(name);
        let is_in_range = self.versions.as_ref().is_none_or(|range| {
            name.parse::<TagVersion>()
                .is_ok_and(|version| range.matches(&version))
        });
        (is_named || !has_pattern) && !is_excluded && is_in_range
    }
}

/// Compiles a regular expression that must match the whole text.
fn whole(pattern: &str) -> Result<Regex> {
    // The group keeps alternatives together.
    Regex::new(&format!("^(?:{pattern})$")).map_err(|error| {
        Error::new(ErrorKind::InvalidInput, "not a regular expression")
            .with_subject(Printable(pattern))
            .with_source(error)
    })
}

/// Whether a tag begins with a digest, as `sha256-HEX` and `sha256-HEX.sig` do.
pub(crate) fn is_digest_tag(name: &str) -> bool {
    [("sha256-", 64), ("sha384-", 96), ("sha512-", 128)]
        .into_iter()
        .any(|(prefix, length)| {
            let rest = name.strip_prefix(prefix);
            // A sha512 digest does not fit whole into a tag.
            let length = length.min(128 - prefix.len());
            rest.and_then(|rest| rest.as_bytes().get(..length))
                .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(filter: &TagFilter, tag: &str) -> bool {
        filter.matches(&tag.parse().expect(tag))
    }

    #[test]
    fn the_default_chooses_all() {
        let filter = TagFilter::default();
        assert!(filter.is_empty());
        assert!(chosen(&filter, "latest"));
        assert!(chosen(&filter, &format!("sha256-{}", "0".repeat(64))));
    }

    #[test]
    fn a_regular_expression_matches_the_whole_tag() -> Result<()> {
        let filter = TagFilter::default().with_regex("v1|v2")?;
        assert!(chosen(&filter, "v1") && chosen(&filter, "v2"));
        assert!(!chosen(&filter, "v10") && !chosen(&filter, "xv2"));
        let error = TagFilter::default().with_regex("(").expect_err("open");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        Ok(())
    }

    #[test]
    fn a_regular_expression_can_exclude_tags() -> Result<()> {
        let filter = TagFilter::default().with_excluded_regex("v1|rc.*")?;
        assert!(!filter.is_empty());
        assert!(!chosen(&filter, "v1") && !chosen(&filter, "rc-2"));
        assert!(chosen(&filter, "v10") && chosen(&filter, "v1-rc"));
        let error = TagFilter::default()
            .with_excluded_regex("(")
            .expect_err("open");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        Ok(())
    }

    #[test]
    fn one_pattern_must_match_and_no_exclusion_may() -> Result<()> {
        let filter = TagFilter::default()
            .with_glob("v1.?")
            .with_glob("!*5")
            .with_regex("stable")?;
        for (tag, expected) in [
            ("v1.2", true),
            ("stable", true),
            ("v1.5", false),
            ("v1.10", false),
            ("latest", false),
        ] {
            assert_eq!(chosen(&filter, tag), expected, "{tag}");
        }
        let all_but = TagFilter::default().with_glob("!pr-*");
        assert!(chosen(&all_but, "v1") && !chosen(&all_but, "pr-7"));
        Ok(())
    }

    #[test]
    fn only_versions_lie_within_a_range() -> Result<()> {
        let filter = TagFilter::default().with_versions("^1".parse()?);
        assert!(chosen(&filter, "v1.5"));
        assert!(!chosen(&filter, "v2.5") && !chosen(&filter, "latest"));
        Ok(())
    }

    #[test]
    fn digest_tags_are_told_by_their_digest() {
        let filter = TagFilter::default().without_digest_tags();
        let hex = "0a".repeat(32);
        assert!(!chosen(&filter, &format!("sha256-{hex}")));
        assert!(!chosen(&filter, &format!("sha256-{hex}.sig")));
        assert!(!chosen(&filter, &format!("sha512-{}", "0".repeat(121))));
        assert!(chosen(&filter, "sha256-of-it"));
        assert!(chosen(&filter, &format!("sha256-{}", &hex[1..])));
    }
}
