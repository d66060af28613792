//! Patterns of tags.

use wildmatch::WildMatch;

use crate::reference::Tag;

/// Patterns that match tags. In a pattern, `*` matches any text and `?` any character. A pattern that begins with
/// `!` excludes tags that the others match.
///
/// ```
/// use tranship::TagPatterns;
///
/// let patterns = TagPatterns::new(["v*", "!v*-rc?"]);
/// assert!(patterns.match_tag(&"v1".parse()?));
/// assert!(!patterns.match_tag(&"v1-rc1".parse()?));
/// # Ok::<(), tranship::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct TagPatterns {
    included: Vec<WildMatch>,
    excluded: Vec<WildMatch>,
}

impl TagPatterns {
    /// Returns the patterns of `patterns`. Without any, no tag matches.
    pub fn new(patterns: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let (mut included, mut excluded) = (Vec::new(), Vec::new());
        for pattern in patterns {
            match pattern.as_ref().strip_prefix('!') {
                Some(pattern) => excluded.push(WildMatch::new(pattern)),
                None => included.push(WildMatch::new(pattern.as_ref())),
            }
        }
        Self { included, excluded }
    }

    /// Returns whether a pattern matches `tag`, and none excludes it.
    #[must_use]
    pub fn match_tag(&self, tag: &Tag) -> bool {
        let matches = |patterns: &[WildMatch]| patterns.iter().any(|p| p.matches(tag.as_str()));
        matches(&self.included) && !matches(&self.excluded)
    }
}
