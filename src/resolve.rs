//! What a reference names, and reading it.

use bytes::Bytes;

use crate::content::{Content, MAX_MANIFEST_SIZE};
use crate::descriptor::Descriptor;
use crate::error::{Error, ErrorKind, Result, ResultExt as _};
use crate::manifest::ManifestDocument;
use crate::media_type::MediaType;
use crate::platform::Platform;
use crate::printable::Printable;
use crate::reference::TagOrDigest;
use crate::storage::{Fetcher, ReferenceFetcher, Resolver};

/// How [`resolve`], [`fetch`] and [`fetch_bytes`] find what they are asked for.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolveOptions {
    /// Answers of an index the first manifest that satisfies this.
    pub platform: Option<Platform>,
    /// The largest manifest that is read, in bytes; by default 4 MiB.
    pub max_manifest_size: u64,
}

impl ResolveOptions {
    /// Sets [`platform`](Self::platform).
    #[must_use]
    pub fn with_platform(mut self, platform: Platform) -> Self {
        self.platform = Some(platform);
        self
    }

    /// Sets [`max_manifest_size`](Self::max_manifest_size), in bytes.
    #[must_use]
    pub fn with_max_manifest_size(mut self, bytes: u64) -> Self {
        self.max_manifest_size = bytes;
        self
    }
}

impl Default for ResolveOptions {
    fn default() -> Self {
        Self {
            platform: None,
            max_manifest_size: MAX_MANIFEST_SIZE,
        }
    }
}

/// The descriptor of what `reference` names, of the platform asked for.
///
/// ```
/// # use tranship::{Descriptor, Repository, ResolveOptions, Result, resolve};
/// async fn arm64(repository: &dyn Repository) -> Result<Descriptor> {
///     let options = ResolveOptions::default().with_platform("linux/arm64".parse()?);
///     resolve(repository, &"v1".parse()?, &options).await
/// }
/// ```
///
/// # Errors
/// - [`ErrorKind::NotFound`] if it names nothing, or if nothing in it satisfies the platform.
/// - [`ErrorKind::Unsupported`] if a platform is asked for of something that has none.
/// - [`ErrorKind::SizeExceedsLimit`] if a manifest is over the limit.
pub async fn resolve<R>(
    repository: &R,
    reference: &TagOrDigest,
    options: &ResolveOptions,
) -> Result<Descriptor>
where
    R: Resolver + Fetcher + ?Sized,
{
    let root = repository
        .resolve(reference)
        .await
        .during("resolve", reference)?;
    match &options.platform {
        Some(platform) => {
            select_platform(repository, &root, None, platform, options.max_manifest_size).await
        }
        None => Ok(root),
    }
}

/// Opens what `reference` names, of the platform asked for.
///
/// # Errors
/// As [`resolve`].
pub async fn fetch<R>(
    repository: &R,
    reference: &TagOrDigest,
    options: &ResolveOptions,
) -> Result<Content>
where
    R: Resolver + Fetcher + ReferenceFetcher + ?Sized,
{
    if options.platform.is_none() {
        return repository
            .fetch_reference(reference)
            .await
            .during("fetch", reference);
    }
    let target = resolve(repository, reference, options).await?;
    repository
        .fetch(&target)
        .await
        .during("fetch", target.digest())
}

/// Reads what `reference` names, of the platform asked for.
///
/// # Errors
/// As [`resolve`] and [`Content::bytes`].
pub async fn fetch_bytes<R>(
    repository: &R,
    reference: &TagOrDigest,
    options: &ResolveOptions,
) -> Result<(Descriptor, Bytes)>
where
    R: Resolver + Fetcher + ReferenceFetcher + ?Sized,
{
    let content = fetch(repository, reference, options).await?;
    let descriptor = content.descriptor().clone();
    let bytes = content.bytes(options.max_manifest_size).await?;
    Ok((descriptor, bytes))
}

/// Reads the manifest that `reference` names, of the platform asked for, and decodes it. Returns its descriptor, too.
///
/// ```
/// # use tranship::{ManifestDocument, Repository, ResolveOptions, Result, fetch_manifest};
/// async fn count_layers(repository: &dyn Repository) -> Result<usize> {
///     let options = ResolveOptions::default();
///     let (_, document) = fetch_manifest(repository, &"v1".parse()?, &options).await?;
///     Ok(match document {
///         ManifestDocument::Manifest(manifest) => manifest.layers.len(),
///         _ => 0,
///     })
/// }
/// ```
///
/// # Errors
/// - [`ErrorKind::Unsupported`] if `reference` names content of another type than that of a manifest.
/// - [`ErrorKind::InvalidManifest`] if the manifest cannot be decoded.
/// - As [`fetch_bytes`].
pub async fn fetch_manifest<R>(
    repository: &R,
    reference: &TagOrDigest,
    options: &ResolveOptions,
) -> Result<(Descriptor, ManifestDocument)>
where
    R: Resolver + Fetcher + ReferenceFetcher + ?Sized,
{
    let (descriptor, bytes) = fetch_bytes(repository, reference, options).await?;
    let media_type = descriptor.media_type();
    expect_manifest(media_type).during("fetch", reference)?;
    let document = ManifestDocument::decode(media_type, &bytes).during("decode", reference)?;
    let document = document.ok_or_else(|| Error::unsupported("it is not a manifest"))?;
    Ok((descriptor, document))
}

/// The manifest for `platform`: of an index the first entry that satisfies it, entries without a
/// platform aside; of an image itself, if its config does.
///
/// `known` is the content of `root`, where the caller has it already.
pub(crate) async fn select_platform<F>(
    repository: &F,
    root: &Descriptor,
    known: Option<&Bytes>,
    platform: &Platform,
    limit: u64,
) -> Result<Descriptor>
where
    F: Fetcher + ?Sized,
{
    let not_found = || {
        Error::new(
            ErrorKind::NotFound,
            format!("there is no manifest for the platform {platform}"),
        )
        .with_subject(root.digest())
    };
    let content = match known {
        Some(content) => content.clone(),
        None if !root.media_type().is_manifest() => {
            return Err(without_platforms(root));
        }
        None => {
            let content = repository.fetch(root).await;
            content
                .during("fetch", root.digest())?
                .bytes(limit)
                .await
                .during("fetch", root.digest())?
        }
    };
    match ManifestDocument::decode(root.media_type(), &content).during("decode", root.digest())? {
        Some(ManifestDocument::Index(index)) => index
            .manifests
            .iter()
            .find(|entry| {
                entry
                    .platform()
                    .is_some_and(|offered| offered.satisfies(platform))
            })
            .map(Descriptor::plain)
            .ok_or_else(|| match name_platforms(&index.manifests).as_str() {
                "" => not_found(),
                offered => not_found().with_hint(format!("it has {offered}")),
            }),
        Some(ManifestDocument::Manifest(_)) => {
            let offered = image_platform(repository, root, &content, limit).await?;
            if offered.satisfies(platform) {
                return Ok(root.clone());
            }
            Err(not_found().with_hint(format!("it is for {offered}")))
        }
        _ => Err(without_platforms(root)),
    }
}

/// Reads the platform of the image `root`, whose manifest is `content`, from its config.
pub(crate) async fn image_platform<F>(
    repository: &F,
    root: &Descriptor,
    content: &[u8],
    limit: u64,
) -> Result<Platform>
where
    F: Fetcher + ?Sized,
{
    let document = ManifestDocument::decode(root.media_type(), content);
    let Some(ManifestDocument::Manifest(manifest)) = document.during("decode", root.digest())?
    else {
        return Err(without_platforms(root));
    };
    let config = manifest.config;
    if ![MediaType::IMAGE_CONFIG, MediaType::DOCKER_CONFIG].contains(config.media_type()) {
        return Err(without_platforms_of_type(config.media_type(), root));
    }
    let fetched = repository.fetch(&config).await;
    let fetched = fetched
        .during("fetch", config.digest())?
        .bytes(limit)
        .await
        .during("fetch", config.digest())?;
    serde_json::from_slice(&fetched).map_err(|error| {
        Error::new(ErrorKind::InvalidManifest, "the image's config is not JSON")
            .with_subject(config.digest())
            .with_source(error)
    })
}

fn without_platforms(root: &Descriptor) -> Error {
    without_platforms_of_type(root.media_type(), root)
}

fn without_platforms_of_type(what: &MediaType, root: &Descriptor) -> Error {
    Error::unsupported(format!(
        "content of type {what} has no platforms to choose from"
    ))
    .with_subject(root.digest())
}

/// Lists the platforms of the entries of an index, each once and the first ones only, for a message.
pub(crate) fn name_platforms(entries: &[Descriptor]) -> String {
    const NAMED: usize = 32;
    let mut names: Vec<String> = Vec::new();
    let mut others = 0;
    for platform in entries.iter().filter_map(Descriptor::platform) {
        let name = platform.to_string();
        if names.contains(&name) {
            continue;
        }
        if names.len() < NAMED {
            names.push(name);
        } else {
            others += 1;
        }
    }
    let mut text = names.join(", ");
    if others > 0 {
        text.push_str(&format!(" and {others} more"));
    }
    text
}

/// That content which a tag names, or which is fetched as a manifest, is of a type of manifest that is known.
///
/// # Errors
/// [`ErrorKind::Unsupported`], which names the type.
pub(crate) fn expect_manifest(media_type: &MediaType) -> Result<()> {
    if media_type.is_manifest() {
        return Ok(());
    }
    if media_type.is_schema_1() {
        return Err(Error::unsupported(format!(
            "it is a manifest of Docker's schema 1 ({media_type}), which is not supported"
        ))
        .with_hint("convert it first, for example by `skopeo copy --format v2s2`"));
    }
    let shown = Printable(media_type.as_str());
    Err(Error::unsupported(format!(
        "it is of the type {shown}, which is not that of a manifest that is supported"
    )))
}
