//! Which tags go.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use tranship::{Digest, Tag};

use crate::tags::{TagFilter, TagVersion};

/// Which tags are to be deleted: those that the filter chooses, of these only old ones, and not the newest. The default
/// is every tag except digest tags, which go with what they are attached to.
#[non_exhaustive]
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Which tags may go.
    pub tags: TagFilter,
    /// Only what was created longer ago. What does not say when it was created stays.
    pub older_than: Option<Duration>,
    /// So many of the tags that the filter chooses stay, the newest by the time of creation. Tags that do not say when
    /// they were created stay, too, and are not counted. Tags are counted, not manifests: two tags of one manifest are two.
    pub keep: Option<usize>,
    /// These tags stay, whatever the filter chooses.
    pub kept_tags: BTreeSet<Tag>,
    /// These manifests stay, and what they lead to.
    pub kept_manifests: Vec<Digest>,
    /// Whether referrers of what stays stay, too, if their own tags go. By default they go with their tags.
    pub kept_referrers: bool,
}

impl Selection {
    /// Sets [`tags`](Self::tags).
    #[must_use]
    pub fn with_tags(mut self, tags: TagFilter) -> Self {
        self.tags = tags;
        self
    }

    /// Sets [`older_than`](Self::older_than).
    #[must_use]
    pub fn with_older_than(mut self, age: Duration) -> Self {
        self.older_than = Some(age);
        self
    }

    /// Sets [`keep`](Self::keep).
    #[must_use]
    pub fn with_keep(mut self, count: usize) -> Self {
        self.keep = Some(count);
        self
    }

    /// Sets [`kept_tags`](Self::kept_tags).
    #[must_use]
    pub fn with_kept_tags(mut self, tags: BTreeSet<Tag>) -> Self {
        self.kept_tags = tags;
        self
    }

    /// Sets [`kept_manifests`](Self::kept_manifests).
    #[must_use]
    pub fn with_kept_manifests(mut self, manifests: Vec<Digest>) -> Self {
        self.kept_manifests = manifests;
        self
    }

    /// Sets [`kept_referrers`](Self::kept_referrers).
    #[must_use]
    pub fn with_kept_referrers(mut self, kept: bool) -> Self {
        self.kept_referrers = kept;
        self
    }

    /// Whether `tag` may go.
    pub(super) fn may_go(&self, tag: &Tag) -> bool {
        self.tags.matches(tag) && !self.kept_tags.contains(tag)
    }

    /// Whether it takes the time of creation to decide.
    pub(super) fn asks_for_age(&self) -> bool {
        self.older_than.is_some() || self.keep.is_some()
    }

    /// Returns for each candidate whether it goes.
    pub(super) fn decide(
        &self,
        candidates: &[(Tag, Option<SystemTime>)],
        now: SystemTime,
    ) -> Vec<bool> {
        if !self.asks_for_age() {
            return vec![true; candidates.len()];
        }
        let mut newest_first: Vec<usize> = (0..candidates.len())
            .filter(|at| candidates[*at].1.is_some())
            .collect();
        newest_first.sort_by(|a, b| {
            let ((tag_a, time_a), (tag_b, time_b)) = (&candidates[*a], &candidates[*b]);
            time_b
                .cmp(time_a)
                .then_with(|| TagVersion::compare(tag_b, tag_a))
        });
        let mut goes = vec![false; candidates.len()];
        for at in newest_first.into_iter().skip(self.keep.unwrap_or(0)) {
            let age = candidates[at]
                .1
                .and_then(|created| now.duration_since(created).ok());
            goes[at] = match (self.older_than, age) {
                (Some(limit), Some(age)) => age > limit,
                // Created in the future.
                (Some(_), None) => false,
                (None, _) => true,
            };
        }
        goes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    /// Tags with their age in days.
    fn going(selection: &Selection, tags: &[(&str, Option<u64>)]) -> Vec<String> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(20_000 * DAY);
        let candidates: Vec<_> = tags
            .iter()
            .map(|(tag, days)| {
                let created = days.map(|days| now - Duration::from_secs(days * DAY));
                (tag.parse::<Tag>().expect("a tag"), created)
            })
            .collect();
        let goes = selection.decide(&candidates, now);
        let pairs = candidates.iter().zip(goes);
        pairs
            .filter(|(_, goes)| *goes)
            .map(|((tag, _), _)| tag.to_string())
            .collect()
    }

    #[test]
    fn old_tags_go_and_those_of_unknown_age_stay() {
        let selection = Selection::default().with_older_than(Duration::from_secs(30 * DAY));
        let tags = [
            ("a", Some(31)),
            ("b", Some(30)),
            ("c", None),
            ("d", Some(0)),
        ];
        assert_eq!(going(&selection, &tags), ["a"]);
    }

    #[test]
    fn the_newest_stay_and_ties_are_broken_by_version() {
        let selection = Selection::default().with_keep(2);
        let tags = [
            ("v9", Some(5)),
            ("v10", Some(5)),
            ("v8", Some(5)),
            ("unknown", None),
            ("v11", Some(1)),
        ];
        assert_eq!(going(&selection, &tags), ["v9", "v8"]);
    }

    #[test]
    fn what_is_both_old_and_among_the_newest_stays() {
        let selection = Selection::default()
            .with_keep(1)
            .with_older_than(Duration::from_secs(10 * DAY));
        let tags = [("a", Some(50)), ("b", Some(60)), ("c", Some(70))];
        assert_eq!(going(&selection, &tags), ["b", "c"]);
    }

    #[test]
    fn without_conditions_every_candidate_goes() {
        assert_eq!(
            going(&Selection::default(), &[("a", None), ("b", Some(1))]),
            ["a", "b"]
        );
    }
}
