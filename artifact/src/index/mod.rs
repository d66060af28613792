//! Makes and changes image indexes.
//!
//! | Function | Purpose |
//! |---|---|
//! | [`create`] | makes an index of manifests of any repositories |
//! | [`add`] | adds entries to an index |
//! | [`remove`] | removes entries from an index |
//!
//! An index that is changed keeps all its other bytes: unknown fields, the order of fields and white space. The
//! changed index has another digest; signatures and other referrers of the old one do not cover it.
//! [`referrers`](tranship::referrers()) finds those.

mod edit;
mod sources;

use tranship::{
    Annotations, CopyOptions, Descriptor, Error, ErrorKind, Index, MediaType, Repository, Result,
    ResultExt as _, Source, Tag, encode_json,
};

pub use crate::change::ManifestChange;
pub use edit::{AddOptions, EntrySelector, add, remove};
pub use sources::IndexSource;

/// How [`create`] makes an index.
///
/// ```
/// use tranship_artifact::index::IndexOptions;
///
/// let options = IndexOptions::default()
///     .with_annotation("org.opencontainers.image.version", "1.2")
///     .with_tag("v1.2".parse()?);
/// # Ok::<(), tranship::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Default)]
pub struct IndexOptions {
    /// Whether to make a Docker manifest list instead of an OCI index. It has neither artifact type, annotations nor
    /// subject.
    pub docker: bool,
    /// What the index is, if it is not an image.
    pub artifact_type: Option<MediaType>,
    /// The annotations of the index.
    pub annotations: Annotations,
    /// The manifest that the index refers to.
    pub subject: Option<Descriptor>,
    /// The tags of the index. They are set at the end.
    pub tags: Vec<Tag>,
    /// How manifests are copied from other repositories.
    pub copy: CopyOptions,
}

impl IndexOptions {
    /// Sets [`docker`](Self::docker).
    #[must_use]
    pub fn with_docker(mut self, docker: bool) -> Self {
        self.docker = docker;
        self
    }

    /// Sets [`artifact_type`](Self::artifact_type).
    #[must_use]
    pub fn with_artifact_type(mut self, artifact_type: MediaType) -> Self {
        self.artifact_type = Some(artifact_type);
        self
    }

    /// Adds to [`annotations`](Self::annotations).
    #[must_use]
    pub fn with_annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Sets [`subject`](Self::subject).
    #[must_use]
    pub fn with_subject(mut self, subject: Descriptor) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Adds to [`tags`](Self::tags).
    #[must_use]
    pub fn with_tag(mut self, tag: Tag) -> Self {
        self.tags.push(tag);
        self
    }

    /// Sets [`copy`](Self::copy).
    #[must_use]
    pub fn with_copy(mut self, copy: CopyOptions) -> Self {
        self.copy = copy;
        self
    }
}

/// Makes an index of what `sources` name, in their order, pushes it to `target` and returns its descriptor.
///
/// Manifests of other repositories are copied to `target` first. The platform of an image is read from its config.
/// Entries that are equal are listed once. The same input makes the same bytes.
///
/// Dropping the future leaves what has been copied; no tag has moved.
///
/// ```
/// # use tranship::{Descriptor, Repository, Result};
/// use tranship_artifact::index::{IndexOptions, IndexSource, create};
///
/// async fn join(target: &dyn Repository, builder: &dyn Repository) -> Result<Descriptor> {
///     let sources = [
///         IndexSource::new("v1-amd64".parse()?),
///         IndexSource::new("v1-arm64".parse()?).with_repository(builder),
///     ];
///     create(target, &sources, &IndexOptions::default().with_tag("v1".parse()?)).await
/// }
/// ```
///
/// # Errors
/// - [`ErrorKind::NotFound`] if a source names nothing, or does not have a platform that is selected.
/// - [`ErrorKind::InvalidInput`] if one platform is given for several manifests, or if a Docker manifest list is to
///   have what it cannot have.
/// - [`ErrorKind::InvalidMediaType`] if the artifact type breaks the grammar.
/// - [`ErrorKind::SizeExceedsLimit`] if a manifest, or the index, is larger than 4 MiB.
/// - As [`copy_graph`](tranship::copy_graph) and [`push_reference`](tranship::ReferencePusher::push_reference).
pub async fn create(
    target: &dyn Repository,
    sources: &[IndexSource<'_>],
    options: &IndexOptions,
) -> Result<Descriptor> {
    let index = empty_index(options)?;
    let manifests = sources::collect(target, sources, &options.copy).await?;
    let media_type = index.media_type.clone().unwrap_or(MediaType::IMAGE_INDEX);
    let mut index = index;
    index.manifests = manifests;
    let content = encode_json(&index)?;
    let descriptor = Descriptor::of(media_type, &content);
    let pushed = target
        .push_reference(&descriptor, Source::from(content), &options.tags)
        .await;
    pushed.during("push", descriptor.digest())?;
    Ok(descriptor)
}

fn empty_index(options: &IndexOptions) -> Result<Index> {
    let mut index = Index::new(Vec::new());
    if options.docker {
        if options.artifact_type.is_some()
            || options.subject.is_some()
            || !options.annotations.is_empty()
        {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a Docker manifest list does not have an artifact type, annotations or a subject",
            )
            .with_hint("make an OCI index"));
        }
        index.media_type = Some(MediaType::DOCKER_MANIFEST_LIST);
    }
    if let Some(artifact_type) = &options.artifact_type {
        artifact_type.validate()?;
    }
    index.artifact_type.clone_from(&options.artifact_type);
    index.subject = options.subject.as_ref().map(Descriptor::plain);
    index.annotations.clone_from(&options.annotations);
    Ok(index)
}
