//! Mounts: a blob of one repository becomes available in another without a transfer.

use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, future};
use tranship::{Descriptor, Digest, ListOptions, Repository, RepositoryName};

use crate::access::{Action, Caller};
use crate::query::Query;
use crate::response_error::{ErrorCode, Resource, ResponseError};
use crate::state::ServerState;

/// In how many repositories a blob is searched for at a time.
const CONCURRENCY: usize = 8;

/// What has become of a mount.
pub(super) enum Mount {
    /// The client has to upload the blob.
    Absent,
    /// The repository had the blob.
    Present,
    /// The repository has the blob now.
    Mounted {
        from: RepositoryName,
        blob: Descriptor,
    },
}

/// Mounts the blob `digest` into `target`.
pub(super) async fn mount(
    state: &ServerState,
    target: &dyn Repository,
    digest: &Digest,
    query: Query<'_>,
    caller: &Caller<'_>,
) -> Result<Mount, ResponseError> {
    let from = match query.first("from").filter(|from| !from.is_empty()) {
        None => None,
        Some(from) => Some(from.parse().map_err(|error: tranship::Error| {
            ResponseError::bad_request(ErrorCode::NameInvalid, error.to_string())
        })?),
    };
    let present = blob_of(target, digest).await;
    let present = present.map_err(|error| ResponseError::from_backend(&error, Resource::Blob))?;
    if present.is_some() {
        return Ok(Mount::Present);
    }
    if !target.capabilities().mount.is_possible() {
        return Ok(Mount::Absent);
    }
    let source = match from {
        Some(from) if caller.may(&from, Action::Pull) => find_in(state, from, digest).await,
        Some(_) => None,
        None => find_anywhere(state, digest, caller).await?,
    };
    let Some((from, blob)) = source else {
        return Ok(Mount::Absent);
    };
    match target.mount(&blob, &from, None).await {
        Ok(_) => Ok(Mount::Mounted { from, blob }),
        // It was deleted concurrently, or cannot be mounted.
        Err(error) if error.is_not_found() || error.is_unsupported() => Ok(Mount::Absent),
        Err(error) => Err(ResponseError::from_backend(&error, Resource::Blob)),
    }
}

type Found = Option<(RepositoryName, Descriptor)>;

/// Returns the blob `digest` if the repository `name` has it. A repository of a mirror has only its stored content here: the
/// other registry lacks most blobs that clients push, and need not be asked. A repository that cannot be read has none, and
/// the client uploads the blob.
async fn find_in(state: &ServerState, name: RepositoryName, digest: &Digest) -> Found {
    let (name, registry) = match &state.options.mirrors {
        Some(mirrors) => (mirrors.stored_as(&name), mirrors.local()),
        None => (name, &*state.registry),
    };
    let found = match registry.repository(&name).await {
        Ok(repository) => blob_of(&*repository, digest).await,
        Err(error) => Err(error),
    };
    found
        .inspect_err(|error| tracing::warn!(repository = %name, %error, "a blob cannot be mounted"))
        .ok()
        .flatten()
        .map(|blob| (name, blob))
}

/// Searches the first repositories of the catalog for the blob `digest`, since the client did not name one.
async fn find_anywhere(
    state: &ServerState,
    digest: &Digest,
    caller: &Caller<'_>,
) -> Result<Found, ResponseError> {
    let limit = state.options.anonymous_mount_search;
    if limit == 0 || !state.registry.capabilities().catalog.is_yes() {
        return Ok(None);
    }
    let names = state
        .registry
        .repositories(ListOptions::default().with_page_size(limit));
    let found = names
        .take(limit)
        .try_filter(|name| future::ready(caller.may(name, Action::Pull)))
        .map_err(|error| ResponseError::from_backend(&error, Resource::Repository))
        .map_ok(|name| find_in(state, name, digest).map(Ok))
        .try_buffer_unordered(CONCURRENCY)
        .try_filter_map(future::ok);
    std::pin::pin!(found).try_next().await
}

async fn blob_of(
    repository: &dyn Repository,
    digest: &Digest,
) -> tranship::Result<Option<Descriptor>> {
    match repository.blobs().resolve(&(*digest).into()).await {
        Ok(blob) => Ok(Some(blob)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
