//! Which tags and digests of a repository are mirrored.

use tranship::{Digest, Tag};
use tranship_artifact::tags::{TagFilter, TagVersion};

/// Which tags and digests of a repository are chosen: the union of its parts. The default, which has no parts, chooses every
/// tag.
#[non_exhaustive]
#[derive(Debug, Clone, Default)]
pub struct TagRule {
    /// These tags, which need not be looked for in the list of tags.
    pub names: Vec<Tag>,
    /// These manifests, without a tag.
    pub digests: Vec<Digest>,
    /// These manifests, each with the tag that it gets at the destination, whatever that tag refers to in the source. They
    /// are not part of what [`choose`](Self::choose) returns.
    pub pinned: Vec<(Tag, Digest)>,
    /// The tags that one of these sets chooses.
    pub sets: Vec<TagSet>,
}

/// Some of the tags of a repository.
#[non_exhaustive]
#[derive(Debug, Clone, Default)]
pub struct TagSet {
    /// Which tags.
    pub filter: TagFilter,
    /// Only so many of these, those with the highest versions; `None`, the default, for all. If some of them are releases,
    /// pre-releases such as `v2.0.0-rc1` do not count, unless the filter has a range of versions, which decides about them.
    pub latest: Option<usize>,
}

impl TagSet {
    /// Sets [`filter`](Self::filter).
    #[must_use]
    pub fn with_filter(mut self, filter: TagFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets [`latest`](Self::latest).
    #[must_use]
    pub fn with_latest(mut self, count: usize) -> Self {
        self.latest = Some(count);
        self
    }

    fn choose<'t>(&self, listed: &'t [Tag]) -> Vec<&'t Tag> {
        let matching = listed.iter().filter(|tag| self.filter.matches(tag));
        let Some(count) = self.latest else {
            return matching.collect();
        };
        let versions = matching.filter_map(|tag| Some((tag, tag.as_str().parse().ok()?)));
        let (pre_releases, releases): (Vec<_>, Vec<_>) =
            versions.partition(|(_, version): &(&Tag, TagVersion)| version.is_pre_release());
        let mut chosen: Vec<&Tag> = releases.into_iter().map(|(tag, _)| tag).collect();
        if chosen.is_empty() || self.filter.has_versions() {
            chosen.extend(pre_releases.into_iter().map(|(tag, _)| tag));
        }
        chosen.sort_by(|a, b| TagVersion::compare(b, a));
        chosen.truncate(count);
        chosen
    }
}

impl TagRule {
    /// Returns the rule that chooses what `set` chooses.
    #[must_use]
    pub fn of_set(set: TagSet) -> Self {
        Self {
            sets: vec![set],
            ..Self::default()
        }
    }

    /// Returns whether the rule needs the list of all tags.
    #[must_use]
    pub fn needs_list(&self) -> bool {
        !self.sets.is_empty() || self.chooses_all()
    }

    fn chooses_all(&self) -> bool {
        self.names.is_empty()
            && self.digests.is_empty()
            && self.pinned.is_empty()
            && self.sets.is_empty()
    }

    /// Returns how many images are chosen, if that does not depend on the tags that exist.
    #[must_use]
    pub fn fixed_count(&self) -> Option<usize> {
        let count = self.names.len() + self.digests.len() + self.pinned.len();
        (!self.needs_list()).then_some(count)
    }

    /// Returns the tags that are chosen, given the list of all tags, in ASCII order and each once.
    #[must_use]
    pub fn choose(&self, listed: &[Tag]) -> Vec<Tag> {
        let mut chosen = self.names.clone();
        if self.chooses_all() {
            chosen.extend_from_slice(listed);
        }
        for set in &self.sets {
            chosen.extend(set.choose(listed).into_iter().cloned());
        }
        chosen.sort();
        chosen.dedup();
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latest(filter: TagFilter, count: usize, listed: &[&str]) -> Vec<String> {
        let listed: Vec<Tag> = listed
            .iter()
            .map(|tag| tag.parse().expect("a tag"))
            .collect();
        let rule = TagRule::of_set(TagSet::default().with_filter(filter).with_latest(count));
        rule.choose(&listed)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn the_latest_are_releases_if_there_are_any() {
        let listed = ["v1.9.0", "v1.10.0", "v2.0.0-rc1", "latest", "sha-abc"];
        let all = TagFilter::default();
        assert_eq!(latest(all.clone(), 1, &listed), ["v1.10.0"]);
        assert_eq!(latest(all.clone(), 2, &listed), ["v1.10.0", "v1.9.0"]);
        let range = ">=1 || >=2.0.0-rc1".parse().expect("a range");
        let ranged = TagFilter::default().with_versions(range);
        assert_eq!(latest(ranged, 1, &listed), ["v2.0.0-rc1"]);
        let variants = ["1.24-alpine", "1.25-alpine", "1.25"];
        let alpine = TagFilter::default().with_glob("*-alpine");
        assert_eq!(latest(alpine, 1, &variants), ["1.25-alpine"]);
    }
}
