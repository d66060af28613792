//! What an index is made of.

use bytes::Bytes;
use serde::Deserialize;
use tranship::{
    Annotations, CopyOptions, Descriptor, Error, ErrorKind, MAX_MANIFEST_SIZE, Manifest,
    ManifestDocument, MediaType, Platform, PlatformSubset, Repository, ResolveOptions, Result,
    ResultExt as _, TagOrDigest, copy_graph, fetch_bytes,
};

/// A manifest, or the manifests of an index, to list in an index.
///
/// The entries of an index are listed unchanged, with their annotations, because many programs do not look
/// into an index below an index. [`with_nested`](Self::with_nested) lists the index itself.
#[derive(Clone)]
pub struct IndexSource<'a> {
    repository: Option<&'a dyn Repository>,
    reference: TagOrDigest,
    platforms: Vec<Platform>,
    platform: Option<Platform>,
    annotations: Annotations,
    nested: bool,
}

impl<'a> IndexSource<'a> {
    /// Returns the source that `reference` names in the repository of the index.
    #[must_use]
    pub fn new(reference: TagOrDigest) -> Self {
        Self {
            repository: None,
            reference,
            platforms: Vec::new(),
            platform: None,
            annotations: Annotations::new(),
            nested: false,
        }
    }

    /// Takes the source from another repository, from which it is copied.
    #[must_use]
    pub fn with_repository(mut self, repository: &'a dyn Repository) -> Self {
        self.repository = Some(repository);
        self
    }

    /// Selects platforms of an index, as [`PlatformSubset`] does. Without platforms all entries are selected.
    #[must_use]
    pub fn with_platforms(mut self, platforms: Vec<Platform>) -> Self {
        self.platforms = platforms;
        self
    }

    /// Sets the platform of the entry, in place of that in the config of the image.
    #[must_use]
    pub fn with_platform(mut self, platform: Platform) -> Self {
        self.platform = Some(platform);
        self
    }

    /// Adds an annotation to each entry.
    #[must_use]
    pub fn with_annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Lists an index as one entry, and not its entries.
    #[must_use]
    pub fn with_nested(mut self, nested: bool) -> Self {
        self.nested = nested;
        self
    }
}

impl std::fmt::Debug for IndexSource<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexSource")
            .field("reference", &self.reference)
            .field("platforms", &self.platforms)
            .field("platform", &self.platform)
            .field("annotations", &self.annotations)
            .field("nested", &self.nested)
            .finish_non_exhaustive()
    }
}

/// Copies the sources to `target`, where they are elsewhere, and returns their entries, each once.
pub(super) async fn collect(
    target: &dyn Repository,
    sources: &[IndexSource<'_>],
    copy: &CopyOptions,
) -> Result<Vec<Descriptor>> {
    let mut entries: Vec<Descriptor> = Vec::new();
    for source in sources {
        for entry in read(target, source).await? {
            if entries.contains(&entry) {
                continue;
            }
            if let Some(repository) = source.repository {
                copy_graph(repository, &entry.plain(), target, copy).await?;
            }
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// Returns the entries of one source.
async fn read(target: &dyn Repository, source: &IndexSource<'_>) -> Result<Vec<Descriptor>> {
    let repository = source.repository.unwrap_or(target);
    let options = ResolveOptions::default();
    let (root, content) = fetch_bytes(repository, &source.reference, &options).await?;
    let root = root.plain();
    let mut entries = entries(repository, source, &root, &content)
        .await
        .during("read", &source.reference)?;
    if let Some(platform) = &source.platform {
        let [entry] = entries.as_mut_slice() else {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "the platform {platform} is given for {} manifests",
                    entries.len()
                ),
            )
            .with_subject(&source.reference)
            .with_hint("select one of them"));
        };
        *entry = entry.clone().with_platform(platform.clone());
    }
    let annotate = |entry: Descriptor| {
        let annotations = source.annotations.iter();
        annotations.fold(entry, |entry, (key, value)| {
            entry.with_annotation(key, value)
        })
    };
    Ok(entries.into_iter().map(annotate).collect())
}

async fn entries(
    repository: &dyn Repository,
    source: &IndexSource<'_>,
    root: &Descriptor,
    content: &Bytes,
) -> Result<Vec<Descriptor>> {
    let document = ManifestDocument::decode(root.media_type(), content)?;
    match document {
        Some(ManifestDocument::Index(index)) if source.nested => {
            if !source.platforms.is_empty() {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    "an index that is listed as a whole has all its platforms",
                ));
            }
            Ok(vec![root.clone().with_artifact_type(index.artifact_type)])
        }
        Some(ManifestDocument::Index(index)) if source.platforms.is_empty() => Ok(index.manifests),
        Some(ManifestDocument::Index(_)) => {
            let subset = PlatformSubset::new(source.platforms.iter().cloned());
            Ok(subset.select(root, content)?.kept)
        }
        Some(ManifestDocument::Manifest(manifest)) => {
            let platform = config_platform(repository, &manifest).await?;
            check_platform(source, platform.as_ref())?;
            let entry = root.clone().with_artifact_type(manifest.artifact_type);
            Ok(vec![match platform {
                Some(platform) => entry.with_platform(platform),
                None => entry,
            }])
        }
        Some(other) => {
            check_platform(source, None)?;
            Ok(vec![
                root.clone()
                    .with_artifact_type(other.artifact_type().cloned()),
            ])
        }
        None => Err(Error::unsupported(format!(
            "content of type {} is not a manifest",
            root.media_type()
        ))),
    }
}

/// The one manifest of a source must be for one of the platforms that are selected.
fn check_platform(source: &IndexSource<'_>, platform: Option<&Platform>) -> Result<()> {
    let is_selected = |wanted| platform.is_some_and(|it| it.satisfies(wanted));
    if source.platforms.is_empty() || source.platforms.iter().any(is_selected) {
        return Ok(());
    }
    let error = Error::new(
        ErrorKind::NotFound,
        "there is no manifest for the platforms that are selected",
    );
    Err(match platform {
        Some(platform) => error.with_hint(format!("it is for {platform}")),
        None => error,
    })
}

/// Returns the platform in the config of an image, without the other fields of the config. A config that does not
/// name one, or that is not JSON, has none.
async fn config_platform(
    repository: &dyn Repository,
    manifest: &Manifest,
) -> Result<Option<Platform>> {
    #[derive(Deserialize)]
    struct Fields {
        #[serde(default)]
        os: String,
        #[serde(default)]
        architecture: String,
        variant: Option<String>,
        #[serde(rename = "os.version")]
        os_version: Option<String>,
        #[serde(rename = "os.features")]
        os_features: Option<Vec<String>>,
    }

    let config = &manifest.config;
    if ![MediaType::IMAGE_CONFIG, MediaType::DOCKER_CONFIG].contains(config.media_type()) {
        return Ok(None);
    }
    let content = repository.fetch(config).await;
    let content = content
        .during("fetch", config.digest())?
        .bytes(MAX_MANIFEST_SIZE)
        .await
        .during("fetch", config.digest())?;
    let Ok(fields) = serde_json::from_slice::<Fields>(&content) else {
        return Ok(None);
    };
    if fields.os.is_empty() && fields.architecture.is_empty() {
        return Ok(None);
    }
    let filled = |text: &String| !text.is_empty();
    let mut platform = Platform::new(fields.os, fields.architecture);
    platform.variant = fields.variant.filter(filled);
    platform.os_version = fields.os_version.filter(filled);
    platform.os_features = fields.os_features.unwrap_or_default();
    Ok(Some(platform))
}
