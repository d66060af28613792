//! The details of images that lists show beside their names.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt as _, stream};
use lru::LruCache;
use tokio::time::{Instant, timeout_at};
use tranship::{Digest, Repository, RepositoryName, Result, TagOrDigest};
use tranship_artifact::image::{InspectOptions, Inspection, Kind, inspect};

use crate::context::Context;

/// How many images are described at the same time for one page.
const CONCURRENCY: usize = 4;

/// How many descriptions are kept.
const MAX_KEPT: NonZeroUsize = NonZeroUsize::new(4_000).unwrap();

/// How many platforms are named.
const MAX_PLATFORMS: usize = 16;

/// A line about an image or artifact.
#[derive(Debug, Clone)]
pub(crate) struct Details {
    pub(crate) digest: Digest,
    pub(crate) kind: String,
    pub(crate) platforms: Vec<String>,
    /// In bytes.
    pub(crate) size: u64,
    /// RFC 3339, as the image says.
    pub(crate) created: Option<String>,
}

/// Descriptions by repository and digest. What a digest names never changes.
#[derive(Debug)]
pub(crate) struct DetailsCache(Mutex<LruCache<(RepositoryName, Digest), Arc<Details>>>);

impl Default for DetailsCache {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MAX_KEPT)))
    }
}

impl DetailsCache {
    fn get(&self, key: &(RepositoryName, Digest)) -> Option<Arc<Details>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).cloned()
    }

    fn put(&self, key: (RepositoryName, Digest), details: Arc<Details>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.put(key, details);
    }
}

/// The reason for missing details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoDetails {
    /// There was not enough time.
    Late,
    /// The content is missing or damaged, or the backend failed.
    Failed,
}

/// Describes what each of `references` names, within the time that a page has for it.
pub(crate) async fn describe_all(
    context: &Context<'_>,
    repository: &dyn Repository,
    references: &[TagOrDigest],
    deadline: Instant,
) -> Vec<Result<Arc<Details>, NoDetails>> {
    stream::iter(references.to_vec())
        .map(|reference| async move {
            match timeout_at(deadline, describe(context, repository, &reference)).await {
                Ok(Ok(details)) => Ok(details),
                Ok(Err(_)) => Err(NoDetails::Failed),
                Err(_) => Err(NoDetails::Late),
            }
        })
        .buffered(CONCURRENCY)
        .collect()
        .await
}

/// Returns until when details may be collected.
pub(crate) fn deadline(context: &Context<'_>) -> Instant {
    Instant::now() + context.state.options.details_timeout
}

/// Describes what `reference` names. Of an image that was described before, reads only the tag.
pub(crate) async fn describe(
    context: &Context<'_>,
    repository: &dyn Repository,
    reference: &TagOrDigest,
) -> Result<Arc<Details>> {
    let digest = *repository.resolve(reference).await?.digest();
    let key = (repository.name().clone(), digest);
    if let Some(details) = context.state.details.get(&key) {
        return Ok(details);
    }
    let options = InspectOptions::default().with_referrers(false);
    let inspection = inspect(repository, &digest.into(), &options).await?;
    let details = Arc::new(Details::of(&inspection));
    context.state.details.put(key, Arc::clone(&details));
    Ok(details)
}

impl Details {
    fn of(inspection: &Inspection) -> Self {
        let images = inspection.manifests.iter();
        let images = images.filter(|manifest| manifest.kind == Kind::Image);
        let platforms = images.filter_map(|manifest| manifest.platform.as_ref());
        Self {
            digest: *inspection.descriptor.digest(),
            kind: kind_of(inspection),
            platforms: platforms
                .take(MAX_PLATFORMS)
                .map(ToString::to_string)
                .collect(),
            size: inspection.total_size,
            created: inspection.created.clone(),
        }
    }
}

/// Returns what something is, in one or two words or as the type of an artifact.
pub(crate) fn kind_of(inspection: &Inspection) -> String {
    match inspection.kind {
        Kind::Image => "image".to_owned(),
        Kind::Index => "index".to_owned(),
        Kind::Attestation => "attestation".to_owned(),
        _ => match &inspection.artifact_type {
            Some(artifact_type) => artifact_type.to_string(),
            None => "artifact".to_owned(),
        },
    }
}
