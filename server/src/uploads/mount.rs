//! Mounts: a blob of one repository appears in another, without its bytes moving.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, future};
use tranship::{Descriptor, Digest, ListOptions, Repository, RepositoryName};

use crate::access::{Caller, Permission};
use crate::failure::{About, Code, Failure};
use crate::query::Query;
use crate::state::ServerState;

/// In how many repositories a blob is looked for at a time.
const CONCURRENCY: usize = 8;

/// Mounts the blob `digest` into `target`, and says whether it is there now. What cannot be mounted
/// is for the client to upload.
pub(crate) async fn mount(
    state: &ServerState,
    target: &dyn Repository,
    digest: &Digest,
    query: Query<'_>,
    caller: &Caller<'_>,
) -> Result<bool, Failure> {
    let from = match query.first("from").filter(|from| !from.is_empty()) {
        None => None,
        Some(from) => Some(from.parse().map_err(|error: tranship::Error| {
            Failure::bad_request(Code::NameInvalid, error.to_string())
        })?),
    };
    if blob_of(target, digest).await?.is_some() {
        return Ok(true);
    }
    if !target.capabilities().mount.is_possible() {
        return Ok(false);
    }
    let source = match from {
        Some(from) if caller.may(&from, Permission::Read) => look(state, from, digest).await?,
        Some(_) => None,
        None => find(state, digest, caller).await?,
    };
    let Some((from, blob)) = source else {
        return Ok(false);
    };
    match target.mount(&blob, &from, None).await {
        Ok(_) => Ok(true),
        // Deleted meanwhile, or not to be had that way.
        Err(error) if error.is_not_found() || error.is_unsupported() => Ok(false),
        Err(error) => Err(Failure::of(&error, About::Blob)),
    }
}

type Found = Option<(RepositoryName, Descriptor)>;

/// The blob `digest`, if the repository `name` has it.
async fn look(
    state: &ServerState,
    name: RepositoryName,
    digest: &Digest,
) -> Result<Found, Failure> {
    let repository: Arc<dyn Repository> = state.repository(&name).await?;
    let blob = blob_of(&*repository, digest).await?;
    Ok(blob.map(|blob| (name, blob)))
}

/// A repository that has the blob `digest`, among the first ones of the catalog: the client did not
/// say which.
async fn find(state: &ServerState, digest: &Digest, caller: &Caller<'_>) -> Result<Found, Failure> {
    let limit = state.options.anonymous_mount_search;
    if limit == 0 || !state.registry.capabilities().catalog.is_yes() {
        return Ok(None);
    }
    let names = state
        .registry
        .repositories(ListOptions::default().with_page_size(limit));
    let found = names
        .take(limit)
        .try_filter(|name| future::ready(caller.may(name, Permission::Read)))
        .map_err(|error| Failure::of(&error, About::Repository))
        .map_ok(|name| look(state, name, digest))
        .try_buffer_unordered(CONCURRENCY)
        .try_filter_map(future::ok);
    std::pin::pin!(found).try_next().await
}

async fn blob_of(
    repository: &dyn Repository,
    digest: &Digest,
) -> Result<Option<Descriptor>, Failure> {
    match repository.blobs().resolve(&(*digest).into()).await {
        Ok(blob) => Ok(Some(blob)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(Failure::of(&error, About::Blob)),
    }
}
