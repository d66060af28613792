//! An image to copy.

use std::fmt;
use std::sync::Arc;

use tranship::{Repository, Tag, TagOrDigest};

use crate::rules::ImageOptions;

/// A repository, and what users call it.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct Place {
    /// The name for people, such as `docker.io/library/alpine` or `layouts:DIR//team/app`. Two places with one name are
    /// the same repository.
    pub name: String,
    /// The repository.
    pub repository: Arc<dyn Repository>,
}

impl Place {
    /// Returns the place with this name.
    #[must_use]
    pub fn new(name: impl Into<String>, repository: Arc<dyn Repository>) -> Self {
        Self {
            name: name.into(),
            repository,
        }
    }

    /// Returns a text that is equal for places which are the same repository, however they are spelled, as far as their
    /// registries say that.
    pub(crate) fn key(&self) -> String {
        match self.repository.registry() {
            Some(registry) => format!("{registry} {}", self.repository.name()),
            None => self.name.clone(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// An image, or any other artifact, and where it is copied to.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct Image {
    /// Where it is.
    pub source: Place,
    /// Its tag or digest there.
    pub reference: TagOrDigest,
    /// Where it is copied to.
    pub destination: Place,
    /// The tag that it gets there; `None` for none.
    pub tag: Option<Tag>,
    /// What is copied of it.
    pub options: Arc<ImageOptions>,
}

impl Image {
    /// Returns the image `reference` of `source`, which is copied to `destination` as a whole and without a tag.
    #[must_use]
    pub fn new(source: Place, reference: impl Into<TagOrDigest>, destination: Place) -> Self {
        Self {
            source,
            reference: reference.into(),
            destination,
            tag: None,
            options: Arc::default(),
        }
    }

    /// Sets [`tag`](Self::tag).
    #[must_use]
    pub fn with_tag(mut self, tag: Tag) -> Self {
        self.tag = Some(tag);
        self
    }

    /// Sets [`options`](Self::options).
    #[must_use]
    pub fn with_options(mut self, options: Arc<ImageOptions>) -> Self {
        self.options = options;
        self
    }

    /// Returns the name in the source, such as `docker.io/library/alpine:3.19`.
    #[must_use]
    pub fn source_name(&self) -> String {
        named(&self.source, Some(&self.reference))
    }

    /// Returns the name at the destination.
    #[must_use]
    pub fn destination_name(&self) -> String {
        match (&self.tag, &self.reference) {
            (Some(tag), _) => named(&self.destination, Some(&tag.clone().into())),
            (None, digest @ TagOrDigest::Digest(_)) => named(&self.destination, Some(digest)),
            (None, TagOrDigest::Tag(_)) => named(&self.destination, None),
        }
    }
}

fn named(place: &Place, reference: Option<&TagOrDigest>) -> String {
    match reference {
        Some(TagOrDigest::Tag(tag)) => format!("{place}:{tag}"),
        Some(TagOrDigest::Digest(digest)) => format!("{place}@{digest}"),
        None => place.name.clone(),
    }
}
