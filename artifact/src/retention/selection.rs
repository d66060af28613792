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
    /// Only tags whose last pull is longer ago. A tag stays if that time is not known; [`plan_all`](super::plan_all) takes
    /// these times.
    pub not_pulled_for: Option<Duration>,
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

    /// Sets [`not_pulled_for`](Self::not_pulled_for).
    #[must_use]
    pub fn with_not_pulled_for(mut self, time: Duration) -> Self {
        self.not_pulled_for = Some(time);
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

    /// Whether it takes the time of creation to decide.
    pub(super) fn asks_for_age(&self) -> bool {
        self.older_than.is_some() || self.keep.is_some()
    }

    /// Returns for each candidate whether it goes.
    pub(super) fn decide(&self, candidates: &[Candidate<'_>], now: SystemTime) -> Vec<bool> {
        let mut goes: Vec<bool> = candidates
            .iter()
            .map(|candidate| {
                !self.kept_tags.contains(candidate.tag)
                    && (!self.asks_for_age() || candidate.created.is_some())
                    && is_longer_ago(self.older_than, candidate.created, now)
                    && is_longer_ago(self.not_pulled_for, candidate.pulled, now)
            })
            .collect();
        for newest in self.newest(candidates) {
            goes[newest] = false;
        }
        goes
    }

    /// Returns the positions of the newest candidates, which stay.
    fn newest(&self, candidates: &[Candidate<'_>]) -> Vec<usize> {
        let mut newest_first: Vec<usize> = (0..candidates.len())
            .filter(|at| candidates[*at].created.is_some())
            .filter(|at| !self.kept_tags.contains(candidates[*at].tag))
            .collect();
        newest_first.sort_by(|a, b| {
            let (a, b) = (&candidates[*a], &candidates[*b]);
            let by_time = b.created.cmp(&a.created);
            by_time.then_with(|| TagVersion::compare(b.tag, a.tag))
        });
        newest_first.truncate(self.keep.unwrap_or(0));
        newest_first
    }
}

/// A tag that a selection decides about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) tag: &'a Tag,
    /// When its manifest was created, if that is known.
    pub(super) created: Option<SystemTime>,
    /// When it was pulled last, if that is known.
    pub(super) pulled: Option<SystemTime>,
}

/// Whether `time` is more than `limit` ago, or no limit is set. An unknown time does not count as long ago, and neither
/// does one in the future.
fn is_longer_ago(limit: Option<Duration>, time: Option<SystemTime>, now: SystemTime) -> bool {
    limit.is_none_or(|limit| {
        let age = time.and_then(|time| now.duration_since(time).ok());
        age.is_some_and(|age| age > limit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    /// Tags with their age in days, or the days since the last pull if the selection is about that.
    fn going(selection: &Selection, tags: &[(&str, Option<u64>)]) -> Vec<String> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(20_000 * DAY);
        let tags: Vec<(Tag, Option<SystemTime>)> = tags
            .iter()
            .map(|(tag, days)| {
                let time = days.map(|days| now - Duration::from_secs(days * DAY));
                (tag.parse().expect("a tag"), time)
            })
            .collect();
        let is_about_pulls = selection.not_pulled_for.is_some();
        let candidates: Vec<_> = tags
            .iter()
            .map(|(tag, time)| Candidate {
                tag,
                created: time.filter(|_| !is_about_pulls),
                pulled: time.filter(|_| is_about_pulls),
            })
            .collect();
        let goes = selection.decide(&candidates, now);
        let pairs = candidates.iter().zip(goes);
        pairs
            .filter(|(_, goes)| *goes)
            .map(|(candidate, _)| candidate.tag.to_string())
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
    fn tags_go_that_were_not_pulled_for_long() {
        let selection = Selection::default().with_not_pulled_for(Duration::from_secs(7 * DAY));
        let tags = [("a", Some(8)), ("b", Some(7)), ("c", None)];
        assert_eq!(going(&selection, &tags), ["a"]);
    }

    #[test]
    fn kept_tags_are_not_counted_among_the_newest() {
        let kept = ["b".parse().expect("a tag")].into();
        let selection = Selection::default().with_keep(1).with_kept_tags(kept);
        let tags = [("a", Some(3)), ("b", Some(1)), ("c", Some(2))];
        assert_eq!(going(&selection, &tags), ["a"]);
    }

    #[test]
    fn without_conditions_every_candidate_goes() {
        assert_eq!(
            going(&Selection::default(), &[("a", None), ("b", Some(1))]),
            ["a", "b"]
        );
    }
}
