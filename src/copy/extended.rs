//! How an extended copy is done: what it follows, and how far.

use std::fmt;
use std::sync::Arc;

use super::options::CopyOptions;
use crate::descriptor::Descriptor;
use crate::media_type::MediaType;

/// Which manifests an extended copy follows against the direction of the graph.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Follow {
    /// Referrers: manifests whose subject is copied. Of every manifest that is copied, so those of an
    /// index's platforms too.
    #[default]
    Referrers,
    /// All predecessors of the root, and their predecessors in turn: referrers, the indexes that hold a
    /// manifest, and the manifests that have a blob as config or layer. Each comes with everything below it,
    /// and with the referrers of that. The source finds them by
    /// [`PredecessorFinder::predecessors`](crate::PredecessorFinder::predecessors), which for registries over
    /// HTTP returns referrers alone.
    Predecessors,
}

/// How [`extended_copy`](super::extended_copy) and
/// [`extended_copy_graph`](super::extended_copy_graph) do their work.
///
/// Filters narrow what is followed, and with it what hangs on it; all that are set must agree.
///
/// ```
/// use tranship::{ExtendedCopyOptions, MediaType};
///
/// let signatures_only = ExtendedCopyOptions::default()
///     .with_artifact_type(MediaType::from_static("application/vnd.example.signature"))
///     .with_depth(1);
/// ```
#[non_exhaustive]
#[derive(Clone, Default)]
pub struct ExtendedCopyOptions {
    /// How everything is copied.
    pub copy: CopyOptions,
    /// What is followed.
    pub follow: Follow,
    /// How many steps are made from what was asked for against the direction of the graph; `None`, the
    /// default, for any number. What a manifest refers to is as many steps away as the manifest, and where
    /// several ways lead to a node the shortest one counts.
    pub depth: Option<usize>,
    /// Whether to follow also what is attached to a manifest by a [digest tag](crate::digest_tags), as
    /// cosign's signatures are, which counts as one step. It gets the same tag at the destination. By default
    /// it is not followed, since each manifest costs the source three requests.
    pub digest_tags: bool,
    /// Follows only artifacts of one of these types, if there are any.
    pub artifact_types: Vec<MediaType>,
    /// Follows only what has all of these annotations, with that value where one is given.
    pub annotations: Vec<(String, Option<String>)>,
    filter: Option<Arc<Filter>>,
}

type Filter = dyn Fn(&Descriptor) -> bool + Send + Sync;

impl ExtendedCopyOptions {
    /// Sets [`copy`](Self::copy).
    #[must_use]
    pub fn with_copy(mut self, copy: CopyOptions) -> Self {
        self.copy = copy;
        self
    }

    /// Sets [`follow`](Self::follow).
    #[must_use]
    pub fn with_follow(mut self, follow: Follow) -> Self {
        self.follow = follow;
        self
    }

    /// Sets [`depth`](Self::depth).
    #[must_use]
    pub fn with_depth(mut self, depth: usize) -> Self {
        self.depth = Some(depth);
        self
    }

    /// Sets [`digest_tags`](Self::digest_tags).
    #[must_use]
    pub fn with_digest_tags(mut self, follow: bool) -> Self {
        self.digest_tags = follow;
        self
    }

    /// Adds to [`artifact_types`](Self::artifact_types).
    #[must_use]
    pub fn with_artifact_type(mut self, artifact_type: MediaType) -> Self {
        self.artifact_types.push(artifact_type);
        self
    }

    /// Adds to [`annotations`](Self::annotations).
    #[must_use]
    pub fn with_annotation(mut self, key: impl Into<String>, value: Option<String>) -> Self {
        self.annotations.push((key.into(), value));
        self
    }

    /// Follows only what `filter` says yes to; the descriptor has artifact type and annotations.
    #[must_use]
    pub fn with_filter(
        mut self,
        filter: impl Fn(&Descriptor) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.filter = Some(Arc::new(filter));
        self
    }

    /// Whether [`follows`](Self::follows) has to know the artifact type and the annotations.
    pub(super) fn has_filters(&self) -> bool {
        !self.artifact_types.is_empty() || !self.annotations.is_empty() || self.filter.is_some()
    }

    pub(super) fn follows(&self, referrer: &Descriptor) -> bool {
        let type_fits = self.artifact_types.is_empty()
            || referrer
                .artifact_type()
                .is_some_and(|kind| self.artifact_types.contains(kind));
        let annotations_fit = self.annotations.iter().all(|(key, wanted)| {
            let found = referrer.annotation(key);
            found.is_some() && (wanted.is_none() || found == wanted.as_deref())
        });
        type_fits && annotations_fit && self.filter.as_ref().is_none_or(|filter| filter(referrer))
    }
}

impl fmt::Debug for ExtendedCopyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtendedCopyOptions")
            .field("copy", &self.copy)
            .field("follow", &self.follow)
            .field("depth", &self.depth)
            .field("digest_tags", &self.digest_tags)
            .field("artifact_types", &self.artifact_types)
            .field("annotations", &self.annotations)
            .finish_non_exhaustive()
    }
}
