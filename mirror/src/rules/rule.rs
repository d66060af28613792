//! A rule: some images of a source, and where they are copied to.

use std::num::NonZeroUsize;

use tranship::{RegistryName, Tag};

use super::images::ImageOptions;
use super::name::{NamePattern, NameTemplate};
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

/// One or more repositories of a registry.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePattern {
    /// The location of the registry, such as `docker.io` or `layouts:DIR`; or of a single repository that does not belong
    /// to a registry, such as `oci:DIR` or `oci-archive:FILE`.
    pub registry: String,
    /// The repositories of the registry; `None` if `registry` is a single repository.
    pub repositories: Option<NamePattern>,
}

/// Where images are copied to.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The location of the registry, or of a single repository, as in [`SourcePattern::registry`].
    pub registry: String,
    /// The name of the repository; `None` if `registry` is a single repository.
    pub repository: Option<NameTemplate>,
    /// The tag, for a rule that chooses one image; `None` for that of the source.
    pub tag: Option<Tag>,
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
