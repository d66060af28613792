//! Describes what a reference names, for people and for programs.

mod children;
mod describe;
mod model;
mod referrers;
mod sizes;

use bytes::Bytes;
use tranship::{
    Descriptor, Error, MAX_MANIFEST_SIZE, ManifestDocument, Platform, Repository, ResolveOptions,
    Result, ResultExt as _, TagOrDigest, fetch_manifest,
};

pub use model::{
    ConfigSummary, Inspection, Kind, LayerSummary, ManifestSummary, ReferrerCount, ReferrerSummary,
};

/// How [`inspect`] describes a reference.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct InspectOptions {
    /// Describes of an index only the image for this platform.
    pub platform: Option<Platform>,
    /// Whether referrers are counted, which takes a few requests. By default they are.
    pub referrers: bool,
    /// The largest manifest or config that is read, in bytes; by default 4 MiB.
    pub max_manifest_size: u64,
    /// How many manifests are fetched at the same time; by default 8.
    pub concurrency: usize,
}

impl Default for InspectOptions {
    fn default() -> Self {
        Self {
            platform: None,
            referrers: true,
            max_manifest_size: MAX_MANIFEST_SIZE,
            concurrency: 8,
        }
    }
}

impl InspectOptions {
    /// Sets [`platform`](Self::platform).
    #[must_use]
    pub fn with_platform(mut self, platform: Option<Platform>) -> Self {
        self.platform = platform;
        self
    }

    /// Sets [`referrers`](Self::referrers).
    #[must_use]
    pub fn with_referrers(mut self, referrers: bool) -> Self {
        self.referrers = referrers;
        self
    }

    /// Sets [`max_manifest_size`](Self::max_manifest_size), in bytes.
    #[must_use]
    pub fn with_max_manifest_size(mut self, bytes: u64) -> Self {
        self.max_manifest_size = bytes;
        self
    }

    /// Sets [`concurrency`](Self::concurrency); at least 1.
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency.max(1);
        self
    }

    fn resolve_options(&self) -> ResolveOptions {
        let options = ResolveOptions::default().with_max_manifest_size(self.max_manifest_size);
        match &self.platform {
            Some(platform) => options.with_platform(platform.clone()),
            None => options,
        }
    }
}

/// Describes the image, index or artifact that `reference` names: its platforms, layers, configuration, annotations,
/// sizes and referrers. Of an index it describes every image, and every attestation with the image that it is about.
///
/// Reads manifests and configs, and no layers. A manifest that an index lists and the repository does not have is
/// described as [missing](ManifestSummary::missing). Dropping the future ends the requests.
///
/// ```
/// use tranship::{Repository, Result};
/// use tranship_artifact::image::{InspectOptions, inspect};
///
/// async fn list_platforms(repository: &dyn Repository) -> Result<()> {
///     let image = inspect(repository, &"v1".parse()?, &InspectOptions::default()).await?;
///     for manifest in &image.manifests {
///         if let Some(platform) = &manifest.platform {
///             println!("{platform}: {} bytes", manifest.total_size);
///         }
///     }
///     Ok(())
/// }
/// ```
///
/// # Errors
/// - [`NotFound`](tranship::ErrorKind::NotFound) if the reference names nothing, or nothing for the platform.
/// - [`Unsupported`](tranship::ErrorKind::Unsupported) if it names something other than a manifest.
/// - [`InvalidManifest`](tranship::ErrorKind::InvalidManifest) if a manifest cannot be decoded.
/// - [`SizeExceedsLimit`](tranship::ErrorKind::SizeExceedsLimit) if a manifest is over the limit, indexes are nested
///   more than 8 levels deep, or they list more than 10,000 manifests.
/// - What the repository fails with.
pub async fn inspect(
    repository: &dyn Repository,
    reference: &TagOrDigest,
    options: &InspectOptions,
) -> Result<Inspection> {
    let (root, document) =
        fetch_manifest(repository, reference, &options.resolve_options()).await?;
    let referrers = async {
        match options.referrers {
            true => referrers::summarize(repository, &root).await.map(Some),
            false => Ok(None),
        }
    };
    let manifests = children::describe_all(repository, &root, &document, options);
    let (manifests, referrers) = futures_util::future::try_join(manifests, referrers).await?;
    Ok(describe::inspection(&root, &document, manifests, referrers))
}

/// Reads the exact bytes of the config of the manifest that `reference` names, and returns its descriptor, too. Of an
/// index with several images, `options` name the platform.
///
/// # Errors
/// As [`inspect`], and [`Unsupported`](tranship::ErrorKind::Unsupported) if the manifest does not have a config, as an
/// index.
pub async fn fetch_config(
    repository: &dyn Repository,
    reference: &TagOrDigest,
    options: &InspectOptions,
) -> Result<(Descriptor, Bytes)> {
    let (_, document) = fetch_manifest(repository, reference, &options.resolve_options()).await?;
    let config = match document {
        ManifestDocument::Manifest(manifest) => manifest.config,
        ManifestDocument::Index(_) => {
            return Err(Error::unsupported(
                "it is an index, and only the images in it have configs",
            )
            .with_subject(reference)
            .with_hint("choose one with --platform"));
        }
        _ => return Err(Error::unsupported("it does not have a config").with_subject(reference)),
    };
    let content = repository.fetch(&config).await;
    let bytes = content
        .during("fetch", config.digest())?
        .bytes(options.max_manifest_size)
        .await
        .during("fetch", config.digest())?;
    Ok((config, bytes))
}
