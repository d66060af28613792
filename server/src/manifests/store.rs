//! Storing a manifest together with what it refers to.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, future, stream};
use tranship::{Descriptor, Error, ErrorKind, ManifestDocument, Repository, Tag};

use crate::failure::{About, Code, Failure};
use crate::state::ServerState;

/// How many blobs are looked for at a time.
const CONCURRENCY: usize = 16;

/// How many missing blobs are named.
const NAMED: usize = 3;

/// Stores `manifest` and sets `tags`.
///
/// A client pushes blobs first, and some of them long ago. Where the backend has batches, the manifest
/// is stored in one that has seen them, so that none is collected as garbage in between.
pub(super) async fn store(
    state: &ServerState,
    repository: &dyn Repository,
    manifest: &Descriptor,
    content: Bytes,
    tags: &[Tag],
    document: &ManifestDocument,
) -> Result<(), Failure> {
    let failed = |error| Failure::of(&error, About::NewManifest);
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

/// Checks that what the manifest lists as manifests are, where they are stored, what it says. A program that
/// trusts the list would otherwise read them as something else (CVE-2021-41190), and one that finds a contradiction
/// refuses all of it. The same applies to the subject.
async fn check_types(
    state: &ServerState,
    repository: &dyn Repository,
    document: &ManifestDocument,
) -> Result<(), Failure> {
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
) -> Result<(), Failure> {
    let failed = |error: Error| Failure::of(&error, About::NewManifest);
    let manifests = repository.manifests();
    let stored = match manifests.resolve(&(*listed.digest()).into()).await {
        Ok(stored) => stored,
        // It is not stored, or not whole. Whether that matters has been decided.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::SizeMismatch) => {
            return Ok(());
        }
        Err(error) => return Err(failed(error)),
    };
    if listed.size() != stored.size() {
        return Err(Failure::bad_request(
            Code::ManifestInvalid,
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
    // Content that does not name its type may be a Docker manifest to one and an OCI manifest to another.
    if said.is_index() == found.is_index() {
        let limit = state.options.max_manifest_size;
        let content = manifests.fetch(&stored).await.map_err(failed)?;
        let content = content.bytes(limit).await.map_err(failed)?;
        if ManifestDocument::decode(said, &content).is_ok() {
            return Ok(());
        }
    }
    Err(Failure::bad_request(
        Code::ManifestInvalid,
        format!(
            "the manifest lists {} as {said}, and it is stored as {found}",
            listed.digest()
        ),
    ))
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
