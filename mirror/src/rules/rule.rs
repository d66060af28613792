//! A rule: some images of a source, and where they are copied to.

use std::num::NonZeroUsize;
use std::str::FromStr;

use tranship::{Error, ErrorKind, Printable, RegistryName, Result};

use super::destination::Destination;
use super::images::ImageOptions;
use super::source::{ImageName, SourcePattern};
use super::tags::TagRule;

/// What is mirrored.
#[non_exhaustive]
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The rules, in their order.
    pub rules: Vec<Rule>,
    /// How single registries are used.
    pub registries: Vec<(RegistryName, RegistrySettings)>,
    /// How many images are copied at the same time; `None`, the default, for the default of
    /// [`JobOptions`](crate::jobs::JobOptions).
    pub concurrency: Option<NonZeroUsize>,
    /// What the reader of the rules should know, such as a setting that has no effect here.
    pub notes: Vec<String>,
}

/// Some images, and where they are copied to.
///
/// A rule can be read from the name of an image: `NAME` chooses every tag, `NAME:TAG` one, `NAME@DIGEST` a manifest without a
/// tag, and `NAME:TAG@DIGEST` a manifest that gets the tag, whatever the tag refers to in the source.
///
/// ```
/// use tranship_mirror::rules::Rule;
///
/// let rule: Rule = "quay.io/team/**:latest".parse()?;
/// assert_eq!(rule.source.registry, "quay.io");
/// assert_eq!(rule.tags.names, ["latest".parse()?]);
/// # Ok::<(), tranship::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct Rule {
    /// The repositories.
    pub source: SourcePattern,
    /// The tags and digests of each repository.
    pub tags: TagRule,
    /// What is copied of each image.
    pub images: ImageOptions,
    /// Where to; `None` where the rules say only what is chosen, as for a bundle.
    pub destination: Option<Destination>,
}

impl Rule {
    /// Returns the rule that chooses every tag of `source`, with all of each image.
    #[must_use]
    pub fn new(source: SourcePattern) -> Self {
        Self {
            source,
            tags: TagRule::default(),
            images: ImageOptions::default(),
            destination: None,
        }
    }

    /// Sets [`tags`](Self::tags).
    #[must_use]
    pub fn with_tags(mut self, tags: TagRule) -> Self {
        self.tags = tags;
        self
    }

    /// Sets [`images`](Self::images).
    #[must_use]
    pub fn with_images(mut self, images: ImageOptions) -> Self {
        self.images = images;
        self
    }

    /// Sets [`destination`](Self::destination).
    #[must_use]
    pub fn with_destination(mut self, destination: Destination) -> Self {
        self.destination = Some(destination);
        self
    }

    /// Checks that the destination fits what is chosen.
    pub(crate) fn check_destination(&self) -> Result<()> {
        let Some(destination) = &self.destination else {
            return Ok(());
        };
        let invalid = |why, hint| {
            Err(Error::new(ErrorKind::InvalidInput, why)
                .with_subject(Printable(&destination.to_string()))
                .with_hint(hint))
        };
        let is_one = self.source.is_single() && self.tags.fixed_count() == Some(1);
        if destination.tag.is_some() && !is_one {
            return invalid(
                "a destination with a tag needs a rule that chooses one image",
                "write :{tag} to keep the tags of the source",
            );
        }
        let has_name = self.source.repositories.is_some();
        let name = destination.repository.as_ref();
        if !has_name && name.is_some_and(|name| name.literal().is_none()) {
            return invalid(
                "the source is a single repository without a name",
                "write the whole name with :{tag} after it, such as registry.example/app:{tag}",
            );
        }
        Ok(())
    }

    /// The rule of an image, by what follows its name.
    pub(crate) fn of_image(image: ImageName) -> Result<Self> {
        if image.digest.is_some() && !image.source.is_single() {
            let why = "a digest cannot follow a pattern of several repositories";
            return Err(
                Error::new(ErrorKind::InvalidInput, why).with_subject(image.source.to_string())
            );
        }
        let mut tags = TagRule::default();
        match (image.tag, image.digest) {
            (None, None) => {}
            (Some(tag), None) => tags.names.push(tag),
            (None, Some(digest)) => tags.digests.push(digest),
            (Some(tag), Some(digest)) => tags.pinned.push((tag, digest)),
        }
        Ok(Self::new(image.source).with_tags(tags))
    }
}

impl FromStr for Rule {
    type Err = Error;

    /// Reads the name of an image, or a pattern, perhaps with a tag or digest.
    ///
    /// # Errors
    /// - Those of [`SourcePattern`], except that a tag or digest is accepted.
    /// - [`ErrorKind::InvalidReference`] for a malformed tag, and [`ErrorKind::InvalidDigest`] for a malformed digest.
    /// - [`ErrorKind::InvalidInput`] if a digest follows a pattern.
    fn from_str(text: &str) -> Result<Self> {
        Self::of_image(text.parse()?)
    }
}

/// How a registry is used.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegistrySettings {
    /// How many requests may be in progress at the same time.
    pub concurrency: Option<NonZeroUsize>,
    /// How many requests may start within a second.
    pub requests_per_second: Option<u32>,
    /// How many manifests that the registry counts must be left, as its response headers say, before one more is read. See
    /// `RemoteOptions` of `tranship-remote`.
    pub rate_limit_reserve: Option<u64>,
    /// Whether plain HTTP is spoken.
    pub plain_http: Option<bool>,
    /// Whether any certificate is accepted.
    pub insecure: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use tranship::Digest;

    #[test]
    fn the_name_of_an_image_is_a_rule() -> Result<()> {
        let digest = Digest::of(b"x");
        let every: Rule = "alpine".parse()?;
        assert_eq!(every.source.to_string(), "docker.io/library/alpine");
        assert!(every.tags.needs_list());
        let one: Rule = "alpine:3.19".parse()?;
        assert_eq!(one.tags.names, ["3.19".parse()?]);
        assert!(!one.tags.needs_list());
        let untagged: Rule = format!("alpine@{digest}").parse()?;
        assert_eq!(untagged.tags.digests, [digest]);
        assert!(!untagged.tags.needs_list());
        let pinned: Rule = format!("alpine:3.19@{digest}").parse()?;
        assert_eq!(pinned.tags.pinned, [("3.19".parse()?, digest)]);
        assert!(!pinned.tags.needs_list() && pinned.tags.choose(&[]).is_empty());
        let error = format!("team/*@{digest}")
            .parse::<Rule>()
            .expect_err("a pattern");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        Ok(())
    }
}
