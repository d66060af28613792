//! The settings of retention: which tags of a repository are deleted.

use serde::Deserialize;
use tranship_artifact::retention::Selection;
use tranship_artifact::tags::TagFilter;

use super::values::VersionRangeArg;
use crate::location::DurationArg;

/// An entry of `retention`. A tag that it matches is deleted if all of its conditions hold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RetentionSettings {
    /// A pattern, or several.
    pub(crate) tags: Patterns,
    /// Only versions in this range match.
    #[serde(default)]
    pub(crate) semver: Option<VersionRangeArg>,
    /// So many of the tags stay, the newest.
    #[serde(default)]
    pub(crate) keep_last: Option<u32>,
    #[serde(default)]
    pub(crate) older_than: Option<DurationArg>,
    #[serde(default)]
    pub(crate) not_pulled_for: Option<DurationArg>,
}

/// Patterns of tags. One that begins with `!` excludes tags.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Patterns {
    One(String),
    Several(Vec<String>),
}

impl Patterns {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(pattern) => std::slice::from_ref(pattern),
            Self::Several(patterns) => patterns,
        }
    }
}

impl RetentionSettings {
    /// Returns why the entry is not accepted, if it is not.
    pub(crate) fn flaw(&self) -> Option<&'static str> {
        let patterns = self.tags.as_slice();
        if patterns.is_empty()
            || patterns
                .iter()
                .any(|glob| glob.trim_start_matches('!').is_empty())
        {
            return Some("an entry of retention needs patterns in tags, such as 'pr-*'");
        }
        if self.keep_last == Some(0) {
            return Some("keep-last must be at least 1; with 0 it would keep no tag");
        }
        let conditions = [
            self.keep_last.is_some(),
            self.older_than.is_some(),
            self.not_pulled_for.is_some(),
        ];
        let has_condition = conditions.contains(&true);
        (!has_condition).then_some(
            "an entry of retention needs keep-last, older-than or not-pulled-for; it would delete every tag that it matches",
        )
    }

    /// Returns the entry as a selection. Digest tags are deleted with what they are attached to.
    pub(crate) fn selection(&self) -> Selection {
        let patterns = self.tags.as_slice().iter();
        let mut tags = patterns.fold(TagFilter::default(), |tags, glob| tags.with_glob(glob));
        if let Some(range) = &self.semver {
            tags = tags.with_versions(range.0.clone());
        }
        let mut selection = Selection::default().with_tags(tags);
        selection.keep = self.keep_last.map(|count| count as usize);
        selection.older_than = self.older_than.map(|age| age.0);
        selection.not_pulled_for = self.not_pulled_for.map(|time| time.0);
        selection
    }
}
