//! What is copied of an image.

use tranship::{CopyOptions, ExtendedCopyOptions, MediaType, Platform, PlatformSubset};

/// What is copied of each image.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageOptions {
    /// Which platforms of an index.
    pub platforms: Platforms,
    /// What is copied of the manifests that refer to the image; `None`, the default, for nothing.
    pub referrers: Option<Referrers>,
    /// Whether layers that must not be distributed are copied too.
    pub include_non_distributable: bool,
}

/// Which platforms of an index are copied. Content without platforms, such as an SBOM or a Helm chart, is always copied.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Platforms {
    /// All of them, with the index.
    #[default]
    All,
    /// The manifest of this platform alone, in place of the index.
    One(Platform),
    /// These platforms, with a new index or a part of the original one.
    Subset(PlatformSubset),
}

/// Which manifests that refer to an image are copied with it: signatures, SBOMs and the like.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Referrers {
    /// Only artifacts of one of these types; empty, the default, for all.
    pub artifact_types: Vec<MediaType>,
    /// Only what has all of these annotations, with that value where one is given.
    pub annotations: Vec<(String, Option<String>)>,
    /// How many steps from a manifest to its referrers are made; `None`, the default, for any number.
    pub depth: Option<usize>,
    /// Whether what is attached by [digest tags](tranship::digest_tags), such as `sha256-HEX.sig`, is copied too.
    pub digest_tags: bool,
    /// Whether an image that is up to date is not asked for new referrers. This saves the requests for each of its
    /// manifests, and misses what was attached since the image was copied.
    pub only_of_changed: bool,
}

impl ImageOptions {
    /// Returns `copy` with these options.
    pub(crate) fn extended(&self, copy: CopyOptions) -> ExtendedCopyOptions {
        let copy = copy.with_non_distributable(self.include_non_distributable);
        let copy = match &self.platforms {
            Platforms::All => copy,
            Platforms::One(platform) => copy.with_platform(platform.clone()),
            Platforms::Subset(subset) => copy.with_platforms(subset.clone()),
        };
        let mut extended = ExtendedCopyOptions::default().with_copy(copy);
        if let Some(referrers) = &self.referrers {
            extended.digest_tags = referrers.digest_tags;
            extended.artifact_types = referrers.artifact_types.clone();
            extended.depth = referrers.depth;
            extended.annotations = referrers.annotations.clone();
        }
        extended
    }
}
