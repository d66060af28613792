//! Storing a manifest, with checks of the content that it refers to.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, future, stream};
use tranship::{Descriptor, Error, ErrorKind, ManifestDocument, Repository, Tag};

use crate::response_error::{ErrorCode, Resource, ResponseError};
use crate::state::ServerState;

/// How many blobs are searched for at a time.
const CONCURRENCY: usize = 16;

/// How many missing blobs the error names.
const MAX_NAMED: usize = 3;

/// Stores `manifest` and sets `tags`.
///
/// A client pushes blobs before the manifest, some of them long before. If the backend has batches, the manifest is
/// stored in one that has found them, so that they are not collected as garbage in between.
pub(super) async fn store(
    state: &ServerState,
    repository: &dyn Repository,
    manifest: &Descriptor,
    content: Bytes,
    tags: &[Tag],
    document: &ManifestDocument,
) -> Result<(), ResponseError> {
    let failed = |error| ResponseError::from_backend(&error, Resource::NewManifest);
    let batch = repository.batch();
    let target = match &batch {
        Some(batch) => batch,
        None => repository,
    };
    if batch.is_some() || state.options.complete_manifests {
        let missing = missing(target, document).await?;
        if state.options.complete_manifests && !missing.is_empty() {
            return Err(incomplete(&missing));
        }
    }
    check_types(state, target, document).await?;
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

/// Returns the content that the manifest needs and the repository does not have. A subject may be pushed later, and
/// non-distributable layers are stored elsewhere.
async fn missing(
    repository: &dyn Repository,
    document: &ManifestDocument,
) -> Result<Vec<Descriptor>, ResponseError> {
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
                Err(error) => Err(ResponseError::from_backend(&error, Resource::NewManifest)),
            }
        })
        .buffered(CONCURRENCY)
        .try_filter_map(future::ok)
        .try_collect()
        .await
}

/// Checks that the manifests in the list are stored with the type and size that the list gives. A program that trusts
/// the list would otherwise read them as another type (CVE-2021-41190), and a program that finds a contradiction
/// refuses the whole. The same applies to the subject.
async fn check_types(
    state: &ServerState,
    repository: &dyn Repository,
    document: &ManifestDocument,
) -> Result<(), ResponseError> {
    let listed = document.successors().into_iter();
    let listed = listed.filter(|listed| listed.media_type().is_manifest());
    stream::iter(listed)
        .map(|listed| async move { check_type(state, repository, &listed).await })
        .buffered(CONCURRENCY)
        .try_collect()
        .await
}

async fn check_type(
    state: &ServerState,
    repository: &dyn Repository,
    listed: &Descriptor,
) -> Result<(), ResponseError> {
    let failed = |error: Error| ResponseError::from_backend(&error, Resource::NewManifest);
    let manifests = repository.manifests();
    let stored = match manifests.resolve(&(*listed.digest()).into()).await {
        Ok(stored) => stored,
        // It is not stored, or not whole. Whether that is allowed has been checked before.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::SizeMismatch) => {
            return Ok(());
        }
        Err(error) => return Err(failed(error)),
    };
    if listed.size() != stored.size() {
        return Err(ResponseError::bad_request(
            ErrorCode::ManifestInvalid,
            format!(
                "the manifest says that {} has {} bytes, and it has {}",
                listed.digest(),
                listed.size(),
                stored.size()
            ),
        ));
    }
    let (said, found) = (listed.media_type(), stored.media_type());
    if said == found {
        return Ok(());
    }
    // Content that does not name its type may be both a Docker manifest and an OCI manifest.
    if said.is_index() == found.is_index() {
        let limit = state.options.max_manifest_size;
        let content = manifests.fetch(&stored).await.map_err(failed)?;
        let content = content.bytes(limit).await.map_err(failed)?;
        if ManifestDocument::decode(said, &content).is_ok() {
            return Ok(());
        }
    }
    Err(ResponseError::bad_request(
        ErrorCode::ManifestInvalid,
        format!(
            "the manifest lists {} as {said}, and it is stored as {found}",
            listed.digest()
        ),
    ))
}

fn incomplete(missing: &[Descriptor]) -> ResponseError {
    let mut message =
        String::from("the repository does not have content that the manifest refers to: ");
    for (position, descriptor) in missing.iter().take(MAX_NAMED).enumerate() {
        if position > 0 {
            message.push_str(", ");
        }
        message.push_str(&descriptor.digest().to_string());
    }
    if missing.len() > MAX_NAMED {
        message.push_str(&format!(" and {} more", missing.len() - MAX_NAMED));
    }
    ResponseError::bad_request(ErrorCode::ManifestBlobUnknown, message)
}
