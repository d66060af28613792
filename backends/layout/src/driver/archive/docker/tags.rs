//! Converts between the entries of an index and the tags of Docker images.

use std::borrow::Cow;

use tranship::{Digest, Error, ErrorKind, Index, Result, Tag};

use crate::index::REF_NAME;

/// The name of an image without its tag. Its tags are the tags of the archive.
#[derive(Debug, Clone)]
pub(crate) enum ImageName {
    /// The user has chosen this name. The tags of other images are not tags of the archive.
    Chosen(String),
    /// A default. The tags of other images are tags of the archive too, where they are unambiguous.
    Fallback(String),
}

impl ImageName {
    fn name(&self) -> &str {
        let (Self::Chosen(name) | Self::Fallback(name)) = self;
        name
    }

    /// Returns the name in the index of `tag`, a tag of Docker such as `alpine:3`.
    pub(super) fn name_in_index<'a>(&self, tag: &'a str) -> Cow<'a, str> {
        match (tag.rsplit_once(':'), self) {
            (Some((name, tag)), _) if familiar(name) == familiar(self.name()) => tag.into(),
            // The slash makes the part after the last colon an invalid tag, so that it resolves to nothing.
            (_, Self::Chosen(_)) => format!("{tag}/").into(),
            (_, Self::Fallback(_)) => tag.into(),
        }
    }

    /// Returns the tag of Docker; the inverse of [`name_in_index`](Self::name_in_index).
    fn docker_tag(&self, listed: &str) -> String {
        if listed.parse::<Tag>().is_ok() {
            return format!("{}:{listed}", self.name());
        }
        listed.strip_suffix('/').unwrap_or(listed).to_owned()
    }
}

/// Returns a name as Docker shows it.
fn familiar(name: &str) -> &str {
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    name.strip_prefix("library/").unwrap_or(name)
}

/// A manifest in an index, with the tags of all its entries.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ListedManifest {
    pub(super) manifest: Digest,
    pub(super) tags: Vec<String>,
}

/// Returns the manifests that the index `content` lists.
pub(super) fn listed_manifests(content: &[u8], name: &ImageName) -> Result<Vec<ListedManifest>> {
    let index: Index = serde_json::from_slice(content).map_err(|error| {
        Error::new(ErrorKind::InvalidManifest, "the index cannot be read").with_source(error)
    })?;
    let mut listed: Vec<ListedManifest> = Vec::new();
    for entry in &index.manifests {
        let manifest = *entry.digest();
        let known = listed.iter().position(|known| known.manifest == manifest);
        let at = known.unwrap_or_else(|| {
            let tags = Vec::new();
            listed.push(ListedManifest { manifest, tags });
            listed.len() - 1
        });
        let tag = entry.annotation(REF_NAME).map(|tag| name.docker_tag(tag));
        listed[at].tags.extend(tag);
    }
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tags_of_the_chosen_name_are_listed_without_it() {
        let chosen = ImageName::Chosen("docker.io/library/alpine".to_owned());
        let fallback = ImageName::Fallback("alpine".to_owned());
        for (tag, if_chosen, otherwise) in [
            ("alpine:3", "3", "3"),
            ("library/alpine:3", "3", "3"),
            ("docker.io/library/alpine:3", "3", "3"),
            ("busybox:3", "busybox:3/", "busybox:3"),
            (
                "localhost:5000/alpine:3",
                "localhost:5000/alpine:3/",
                "localhost:5000/alpine:3",
            ),
        ] {
            assert_eq!(chosen.name_in_index(tag), if_chosen);
            assert_eq!(fallback.name_in_index(tag), otherwise);
            for name in [&chosen, &fallback] {
                let back = name.docker_tag(&name.name_in_index(tag));
                assert_eq!(familiar(&back), familiar(tag));
            }
        }
    }
}
