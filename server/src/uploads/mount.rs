//! Mounts: a blob of one repository appears in another, without its bytes moving.

use tranship::{Digest, Repository, RepositoryName};

use crate::failure::{About, Code, Failure};
use crate::query::Query;
use crate::service::Shared;

/// Mounts the blob `digest` into `target`, and says whether it is there now. What cannot be mounted
/// is for the client to upload.
pub(crate) async fn mount(
    shared: &Shared,
    target: &dyn Repository,
    digest: &Digest,
    query: Query<'_>,
) -> Result<bool, Failure> {
    let failed = |error| Failure::of(&error, About::Blob);
    let is_there = target.blobs().resolve(&(*digest).into()).await;
    if is_there.is_ok() {
        return Ok(true);
    }
    let Some(from) = query.first("from") else {
        return Ok(false);
    };
    let from: RepositoryName = from.parse().map_err(|error: tranship::Error| {
        Failure::bad_request(Code::NameInvalid, error.to_string())
    })?;
    let Some(mounter) = target.blobs().mounter() else {
        return Ok(false);
    };
    let source = shared.repository(&from).await?;
    let blob = match source.blobs().resolve(&(*digest).into()).await {
        Ok(blob) => blob,
        Err(error) if error.is_not_found() => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    match mounter.mount(&blob, &from, None).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() || error.is_unsupported() => Ok(false),
        Err(error) => Err(failed(error)),
    }
}
