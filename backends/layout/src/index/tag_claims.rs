//! Which entries of `index.json` claim which tags.
//!
//! An entry claims a tag if it is named by it, or by a longer name that ends in it. The latter has no effect if
//! another entry has that very tag, or if names of different manifests end in it.

use tranship::{Digest, Tag};

use super::entries::{Entries, Entry};
use super::names::Name;
use super::sorted_set::SortedSet;

/// What a tag means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// The entry at this position has the tag itself.
    Exact(usize),
    /// Several entries have the tag itself, and this is the position of the last one, which was written last.
    Last(usize),
    /// The entry at this position has a name that ends in the tag.
    Suffix(usize),
    /// Names of different manifests end in the tag.
    Ambiguous,
}

impl Claim {
    pub(super) fn winner(self) -> Option<usize> {
        match self {
            Self::Exact(position) | Self::Last(position) | Self::Suffix(position) => Some(position),
            Self::Ambiguous => None,
        }
    }
}

/// How an entry claims a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Exact,
    Suffix,
}

/// The claims of all entries, by tag and position.
#[derive(Debug, Clone)]
pub(super) struct TagClaims(SortedSet<(Tag, Kind, usize)>);

impl TagClaims {
    pub(super) fn new(entries: &Entries) -> Self {
        let claims = entries.iter().filter_map(|(position, entry)| {
            let Entry::Manifest(_, name) = entry else {
                return None;
            };
            claimed(position, name)
        });
        Self(SortedSet::new(claims.collect()))
    }

    pub(super) fn insert(&mut self, position: usize, name: &Name) {
        if let Some(claim) = claimed(position, name) {
            self.0.insert(claim);
        }
    }

    pub(super) fn remove(&mut self, position: usize, name: &Name) {
        if let Some(claim) = claimed(position, name) {
            self.0.remove(&claim);
        }
    }

    /// Returns the positions of the entries that have the tag itself, in their order.
    pub(super) fn exact(&self, tag: &Tag) -> impl Iterator<Item = usize> {
        self.of(tag, Kind::Exact)
    }

    /// Returns the positions of the entries whose longer names end in the tag, in their order.
    pub(super) fn suffixes(&self, tag: &Tag) -> impl Iterator<Item = usize> {
        self.of(tag, Kind::Suffix)
    }

    fn of(&self, tag: &Tag, kind: Kind) -> impl Iterator<Item = usize> {
        let from = self.0.from(move |claim| (&claim.0, claim.1) < (tag, kind));
        let claims = from.take_while(move |claim| claim.0 == *tag && claim.1 == kind);
        claims.map(|claim| claim.2)
    }

    /// Returns what the tag means; `None` if no entry claims it.
    pub(super) fn claim(&self, tag: &Tag, entries: &Entries) -> Option<Claim> {
        let mut exact = self.exact(tag);
        if let Some(first) = exact.next() {
            return Some(exact.last().map_or(Claim::Exact(first), Claim::Last));
        }
        let mut suffixes = self.suffixes(tag);
        let first = suffixes.next()?;
        let digest = digest_at(entries, first);
        let mut last = first;
        for position in suffixes {
            if digest_at(entries, position) != digest {
                return Some(Claim::Ambiguous);
            }
            last = position;
        }
        Some(Claim::Suffix(last))
    }

    /// Returns the tags after `last` that are claimed, in their order.
    pub(super) fn after(&self, last: Option<&str>) -> impl Iterator<Item = &Tag> {
        let is_before =
            move |claim: &(Tag, Kind, usize)| last.is_some_and(|last| claim.0.as_str() <= last);
        let mut previous: Option<&Tag> = None;
        let tags = self.0.from(is_before).map(|(tag, ..)| tag);
        tags.filter(move |tag| previous.replace(*tag) != Some(*tag))
    }
}

fn claimed(position: usize, name: &Name) -> Option<(Tag, Kind, usize)> {
    match name {
        Name::Tag(tag) => Some((tag.clone(), Kind::Exact, position)),
        Name::Suffix(tag) => Some((tag.clone(), Kind::Suffix, position)),
        Name::Foreign | Name::None => None,
    }
}

fn digest_at(entries: &Entries, position: usize) -> Option<&Digest> {
    let descriptor = entries.get(position)?.descriptor()?;
    Some(descriptor.digest())
}

#[cfg(test)]
mod tests {
    use tranship::{Descriptor, MediaType};

    use super::super::names::REF_NAME;
    use super::*;

    fn entry(content: &str, name: &str) -> Entry {
        let entry = Descriptor::of(MediaType::IMAGE_MANIFEST, content.as_bytes());
        Entry::new(entry.with_annotation(REF_NAME, name))
    }

    fn claim(entries: &[Entry], tag: &str) -> Option<Claim> {
        let entries = Entries::new(entries.to_vec());
        let tag = tag.parse().expect("a tag");
        TagClaims::new(&entries).claim(&tag, &entries)
    }

    #[test]
    fn the_last_of_equal_tags_wins() {
        let entries = [entry("a", "v1"), entry("b", "v1"), entry("c", "v2")];
        assert_eq!(claim(&entries, "v1"), Some(Claim::Last(1)));
    }

    #[test]
    fn a_longer_name_claims_what_follows_its_last_colon() {
        let entries = [entry("a", "docker.io:443/library/alpine:3.18")];
        assert_eq!(claim(&entries, "3.18"), Some(Claim::Suffix(0)));
    }

    #[test]
    fn an_exact_tag_precedes_longer_names_at_any_position() {
        let entries = [entry("a", "x/y:v1"), entry("b", "v1"), entry("c", "x/z:v1")];
        assert_eq!(claim(&entries, "v1"), Some(Claim::Exact(1)));
    }

    #[test]
    fn a_tag_that_ends_names_of_different_manifests_is_ambiguous() {
        let entries = [entry("a", "x/y:v1"), entry("b", "x/z:v1")];
        assert_eq!(claim(&entries, "v1"), Some(Claim::Ambiguous));
        let entries = [entry("a", "x/y:v1"), entry("a", "x/z:v1")];
        assert_eq!(claim(&entries, "v1"), Some(Claim::Suffix(1)));
    }

    #[test]
    fn tags_are_listed_once_each_and_sorted() {
        let names = ["b", "x/y:a", "b", "c", "x/y:b"];
        let entries: Vec<_> = names.iter().map(|name| entry("a", name)).collect();
        let claims = TagClaims::new(&Entries::new(entries));
        let after = |last| claims.after(last).map(Tag::as_str).collect::<Vec<_>>();
        assert_eq!(after(None), ["a", "b", "c"]);
        assert_eq!(after(Some("a")), ["b", "c"]);
        assert_eq!(after(Some("aa")), ["b", "c"]);
        assert_eq!(after(Some("c")), [""; 0]);
    }
}
