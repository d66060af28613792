//! Cancelling uploads that clients have abandoned.

use tranship::{RepositoryName, Result, UploadId};

use crate::state::ServerState;
use crate::upload_sessions::ExpiredUpload;

/// Cancels the uploads that are idle for too long, one after the other. Dropping the future leaves the rest to the
/// next call.
pub(crate) async fn expire(state: &ServerState) {
    for key in state.sessions.idle() {
        let Some(ExpiredUpload { name, id, paused }) = state.sessions.take_expired(key) else {
            continue;
        };
        let cancelled = match paused {
            Some(upload) => upload.cancel().await,
            None => resume_and_cancel(state, &name, &id).await,
        };
        match cancelled {
            Ok(()) => tracing::info!(repository = %name, "an upload expired"),
            Err(error) => {
                tracing::warn!(repository = %name, %error, "an expired upload was not cancelled");
            }
        }
    }
}

/// Makes the backend cancel the uploads of earlier processes, at most once in a while. A read-only server does not do
/// that; for a proxy it is the task of the upstream registry.
pub(crate) async fn sweep(state: &ServerState) {
    let uploads = state.registry.capabilities().uploads;
    if !uploads.is_possible() || !state.sessions.is_sweep_due() {
        return;
    }
    match state.registry.expire_uploads(state.sessions.expiry()).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "uploads of earlier runs expired"),
        Err(error) => tracing::warn!(%error, "uploads of earlier runs were not cancelled"),
    }
}

async fn resume_and_cancel(
    state: &ServerState,
    name: &RepositoryName,
    id: &UploadId,
) -> Result<()> {
    let repository = state.registry.repository(name).await?;
    match repository.blobs().resume(id).await {
        Ok(upload) => upload.cancel().await,
        Err(error) if error.is_not_found() || error.is_unsupported() => Ok(()),
        Err(error) => Err(error),
    }
}
