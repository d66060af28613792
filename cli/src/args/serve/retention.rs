//! The settings of retention: which tags of a repository are deleted.

use serde::Deserialize;
use tranship_artifact::retention::Selection;
use tranship_artifact::tags::TagFilter;

use super::list::list;
use super::values::VersionRangeArg;
use crate::location::DurationArg;

/// An entry of `retention`. A tag that it matches is deleted if all of its conditions hold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RetentionSettings {
    /// Patterns. One that begins with `!` excludes tags.
    #[serde(deserialize_with = "list")]
    pub(crate) tags: Vec<String>,
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

impl RetentionSettings {
    /// Returns why the entry is not accepted, if it is not.
    pub(crate) fn flaw(&self) -> Option<&'static str> {
        let is_empty = |glob: &String| glob.trim_start_matches('!').is_empty();
        if self.tags.is_empty() || self.tags.iter().any(is_empty) {
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

    /// Returns whether this entry matches every tag that `other` matches, as far as that is plain.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let is_any_version = self.semver.is_none() || self.semver == other.semver;
        is_any_version && (self.tags == ["*"] || self.tags == other.tags)
    }

    /// Returns the entry as a selection. Digest tags are deleted with what they are attached to.
    pub(crate) fn selection(&self) -> Selection {
        let patterns = self.tags.iter();
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
