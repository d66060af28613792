//! Which tag an entry of `index.json` answers to.
//!
//! The annotation `org.opencontainers.image.ref.name` holds the tag. Some tools write a longer name
//! there, such as `docker.io/library/alpine:3.18`; then the part behind the last colon is the tag,
//! unless another entry has that very tag, or several such names end in it.

use std::collections::HashMap;

use tranship::{Descriptor, Digest, Tag};

/// Holds the tag of an entry (image-spec, "Pre-Defined Annotation Keys").
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Holds the full name beside it, where containerd or buildkit wrote the entry.
pub(crate) const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Marks the entry of a manifest whose content does not tell its media type. Such an entry stays, with a
/// name or without, also where an index lists the manifest: otherwise the manifest would be served as what its
/// content looks like, and not as what it was pushed as.
pub(crate) const UNTYPED: &str = "io.tranship.untyped";

/// Who claims a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// The entry at this position has the tag itself. Of several, the last one: it was written last.
    Exact(usize),
    /// So it is, and there are others.
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

/// How an entry is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    /// By a tag.
    Tag(Tag),
    /// By a longer name that ends in a tag.
    Suffix(Tag),
    /// By what is no tag.
    Foreign,
    /// Not at all.
    None,
}

pub(super) fn name_of(entry: &Descriptor) -> Name {
    let Some(name) = entry.annotation(REF_NAME) else {
        // The entry belongs to that name, and cannot be given another.
        let is_named = entry.annotation(CONTAINERD_NAME).is_some();
        return if is_named { Name::Foreign } else { Name::None };
    };
    if let Ok(tag) = name.parse() {
        return Name::Tag(tag);
    }
    // Several names in one, of which none is to be dropped silently.
    if name.contains(',') {
        return Name::Foreign;
    }
    match name.rsplit_once(':') {
        // What stands behind the colon of a digest is no tag.
        Some((before, tag)) if !before.contains('@') && name.parse::<Digest>().is_err() => {
            tag.parse().map_or(Name::Foreign, Name::Suffix)
        }
        _ => Name::Foreign,
    }
}

/// Who claims which tag, of entries with their positions, digests and names.
pub(super) fn claims<'a>(
    entries: impl Iterator<Item = (usize, &'a Digest, &'a Name)>,
) -> HashMap<Tag, Claim> {
    let mut claims = HashMap::with_capacity(entries.size_hint().1.unwrap_or_default());
    // What longer names that end in a tag are names of, as long as that is one manifest.
    let mut named: HashMap<&Tag, &Digest> = HashMap::new();
    for (position, digest, name) in entries {
        match name {
            Name::Tag(tag) => {
                claims
                    .entry(tag.clone())
                    .and_modify(|claim| {
                        *claim = match claim {
                            Claim::Exact(_) | Claim::Last(_) => Claim::Last(position),
                            Claim::Suffix(_) | Claim::Ambiguous => Claim::Exact(position),
                        };
                    })
                    .or_insert(Claim::Exact(position));
            }
            Name::Suffix(tag) => {
                claims
                    .entry(tag.clone())
                    .and_modify(|claim| match claim {
                        Claim::Suffix(winner) if named.get(tag) == Some(&digest) => {
                            *winner = position;
                        }
                        Claim::Suffix(_) => *claim = Claim::Ambiguous,
                        Claim::Exact(_) | Claim::Last(_) | Claim::Ambiguous => {}
                    })
                    .or_insert(Claim::Suffix(position));
                named.entry(tag).or_insert(digest);
            }
            Name::Foreign | Name::None => {}
        }
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;
    use tranship::MediaType;

    fn entry(content: &str, name: &str) -> Descriptor {
        Descriptor::of(MediaType::IMAGE_MANIFEST, content.as_bytes())
            .with_annotation(REF_NAME, name)
    }

    fn winner(entries: &[Descriptor], tag: &str) -> Option<usize> {
        let names: Vec<_> = entries.iter().map(name_of).collect();
        let named = entries.iter().zip(&names).enumerate();
        claims(named.map(|(at, (entry, name))| (at, entry.digest(), name)))
            .get(tag)?
            .winner()
    }

    #[test]
    fn the_last_of_equal_tags_wins() {
        let entries = [entry("a", "v1"), entry("b", "v1"), entry("c", "v2")];
        assert_eq!(winner(&entries, "v1"), Some(1));
    }

    #[test]
    fn a_longer_name_answers_to_what_is_behind_its_last_colon() {
        let entries = [entry("a", "docker.io:443/library/alpine:3.18")];
        assert_eq!(winner(&entries, "3.18"), Some(0));
    }

    #[test]
    fn an_exact_tag_goes_before_longer_names_wherever_it_stands() {
        let entries = [entry("a", "x/y:v1"), entry("b", "v1"), entry("c", "x/z:v1")];
        assert_eq!(winner(&entries, "v1"), Some(1));
    }

    #[test]
    fn a_tag_in_which_names_of_different_manifests_end_means_none() {
        let entries = [entry("a", "x/y:v1"), entry("b", "x/z:v1")];
        assert_eq!(winner(&entries, "v1"), None);
        let entries = [entry("a", "x/y:v1"), entry("a", "x/z:v1")];
        assert_eq!(winner(&entries, "v1"), Some(1));
    }

    #[test]
    fn names_without_a_tag_answer_to_none() {
        let digest = Digest::of(b"");
        for name in [
            "",
            "localhost:5000/app",
            "a/b:",
            "a/b:v1,a/b:v2",
            "-x",
            &digest.to_string(),
            &format!("a/b@{digest}"),
            &format!("a/b:v1@{digest}"),
        ] {
            assert_eq!(name_of(&entry("a", name)), Name::Foreign, "{name}");
        }
    }
}
