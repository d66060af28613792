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
    /// Only so many of these, those with the highest versions; `None`, the default, for all.
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
        let mut versions: Vec<&Tag> = matching
            .filter(|tag| tag.as_str().parse::<TagVersion>().is_ok())
            .collect();
        versions.sort_by(|a, b| TagVersion::compare(b, a));
        versions.truncate(count);
        versions
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
