//! Between the entries of an index and the tags of docker's images.

use std::borrow::Cow;

use tranship::{Digest, Error, ErrorKind, Index, Result, Tag};

use crate::index::REF_NAME;

/// The name of an image in front of its tag, whose tags are those of the archive.
#[derive(Debug, Clone)]
pub(crate) enum ImageName {
    /// The tags of other images are no tags of the archive.
    Chosen(String),
    /// Those of other images are tags too, where that is clear.
    Fallback(String),
}

impl ImageName {
    fn name(&self) -> &str {
        let (Self::Chosen(name) | Self::Fallback(name)) = self;
        name
    }

    /// The name under which the index lists `tag`, which is docker's, such as `alpine:3`.
    pub(super) fn listed<'a>(&self, tag: &'a str) -> Cow<'a, str> {
        match (tag.rsplit_once(':'), self) {
            (Some((name, tag)), _) if familiar(name) == familiar(self.name()) => tag.into(),
            // So it answers to nothing: what is behind its last colon is no tag.
            (_, Self::Chosen(_)) => format!("{tag}/").into(),
            (_, Self::Fallback(_)) => tag.into(),
        }
    }

    /// The tag as docker has it; the inverse of [`listed`](Self::listed).
    fn tag(&self, listed: &str) -> String {
        if listed.parse::<Tag>().is_ok() {
            return format!("{}:{listed}", self.name());
        }
        listed.strip_suffix('/').unwrap_or(listed).to_owned()
    }
}

/// A name as docker shows it.
fn familiar(name: &str) -> &str {
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    name.strip_prefix("library/").unwrap_or(name)
}

/// A manifest that an index lists, with the tags of all its entries.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) manifest: Digest,
    pub(super) tags: Vec<String>,
}

/// The manifests that the index `content` lists.
pub(super) fn listed(content: &[u8], name: &ImageName) -> Result<Vec<Listed>> {
    let index: Index = serde_json::from_slice(content).map_err(|error| {
        Error::new(ErrorKind::InvalidManifest, "the index cannot be read").with_source(error)
    })?;
    let mut listed: Vec<Listed> = Vec::new();
    for entry in &index.manifests {
        let manifest = *entry.digest();
        let known = listed.iter().position(|known| known.manifest == manifest);
        let at = known.unwrap_or_else(|| {
            let tags = Vec::new();
            listed.push(Listed { manifest, tags });
            listed.len() - 1
        });
        let tag = entry.annotation(REF_NAME).map(|tag| name.tag(tag));
        listed[at].tags.extend(tag);
    }
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tags_of_a_name_stand_for_themselves() {
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
            assert_eq!(chosen.listed(tag), if_chosen);
            assert_eq!(fallback.listed(tag), otherwise);
            for name in [&chosen, &fallback] {
                let back = name.tag(&name.listed(tag));
                assert_eq!(familiar(&back), familiar(tag));
            }
        }
    }
}
