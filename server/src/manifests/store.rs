//! Storing a manifest together with what it refers to.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, future, stream};
use tranship::{Descriptor, ManifestDocument, Repository, Tag};

use crate::failure::{About, Code, Failure};
use crate::service::Shared;

/// How many blobs are looked for at a time.
const CONCURRENCY: usize = 16;

/// How many missing blobs are named.
const NAMED: usize = 3;

/// Stores `manifest` and sets `tags`.
///
/// A client pushes blobs first, and some of them long ago. Where the backend has batches, the manifest
/// is stored in one that has seen them, so that none is collected as garbage in between.
pub(super) async fn store(
    shared: &Shared,
    repository: &dyn Repository,
    manifest: &Descriptor,
    content: Bytes,
    tags: &[Tag],
    document: &ManifestDocument,
) -> Result<(), Failure> {
    let failed = |error| Failure::of(&error, About::NewManifest);
    let batch = repository.batch();
    let target = batch
        .as_ref()
        .map_or(repository, |batch| batch.repository());
    if batch.is_some() || shared.options.complete_manifests {
        let missing = missing(target, document).await?;
        if shared.options.complete_manifests && !missing.is_empty() {
            return Err(incomplete(&missing));
        }
    }
    target
        .manifests()
        .push_reference(manifest, content.into(), tags)
        .await
        .map_err(failed)?;
    match batch {
        Some(batch) => batch.commit().await.map_err(failed),
        None => Ok(()),
    }
}

/// What the manifest needs and the repository lacks. A subject may come later, and layers that are not
/// to be distributed lie elsewhere.
async fn missing(
    repository: &dyn Repository,
    document: &ManifestDocument,
) -> Result<Vec<Descriptor>, Failure> {
    let subject = document.subject().cloned();
    let needed = document
        .successors()
        .into_iter()
        .filter(|needed| Some(needed) != subject.as_ref())
        .filter(|needed| !needed.media_type().is_non_distributable());
    stream::iter(needed)
        .map(|needed| async move {
            match repository.exists(&needed).await {
                Ok(true) => Ok(None),
                Ok(false) => Ok(Some(needed)),
                Err(error) => Err(Failure::of(&error, About::NewManifest)),
            }
        })
        .buffered(CONCURRENCY)
        .try_filter_map(future::ok)
        .try_collect()
        .await
}

fn incomplete(missing: &[Descriptor]) -> Failure {
    let mut message = String::from("the manifest refers to what is not there: ");
    for (position, descriptor) in missing.iter().take(NAMED).enumerate() {
        if position > 0 {
            message.push_str(", ");
        }
        message.push_str(&descriptor.digest().to_string());
    }
    if missing.len() > NAMED {
        message.push_str(&format!(" and {} more", missing.len() - NAMED));
    }
    Failure::bad_request(Code::ManifestBlobUnknown, message)
}
