//! How entries of `index.json` are named.
//!
//! The annotation `org.opencontainers.image.ref.name` holds the tag. Some tools write a longer name
//! there, such as `docker.io/library/alpine:3.18`; in that case the part after the last colon is the tag, as
//! [`tag_claims`](super::tag_claims) says.

use tranship::{Descriptor, Digest, Tag};

/// Holds the tag of an entry (image-spec, "Pre-Defined Annotation Keys").
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Holds the full name beside it, where containerd or buildkit wrote the entry.
pub(crate) const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Marks the entry of a manifest whose content does not tell its media type. Such an entry stays, with a
/// name or without, also where an index lists the manifest: otherwise the manifest would be served as what its
/// content looks like, and not as what it was pushed as.
pub(crate) const UNTYPED: &str = "io.tranship.untyped";

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

#[cfg(test)]
mod tests {
    use tranship::MediaType;

    use super::*;

    #[test]
    fn names_without_a_tag_are_foreign() {
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
            let entry = Descriptor::of(MediaType::IMAGE_MANIFEST, b"a");
            let entry = entry.with_annotation(REF_NAME, name);
            assert_eq!(name_of(&entry), Name::Foreign, "{name}");
        }
    }
}
