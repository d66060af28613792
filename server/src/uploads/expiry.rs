//! The end of uploads that are not continued.

use tranship::{RepositoryName, Result, UploadId};

use super::sessions::Expired;
use crate::service::Shared;

/// Cancels the uploads that lay idle for too long, one after the other. Dropping the future leaves the
/// rest to the next call.
pub(crate) async fn expire(shared: &Shared) {
    for key in shared.sessions.idle() {
        let Some(Expired { name, id, held }) = shared.sessions.take_expired(key) else {
            continue;
        };
        let cancelled = match held {
            Some(upload) => upload.cancel().await,
            None => resume_and_cancel(shared, &name, &id).await,
        };
        match cancelled {
            Ok(()) => tracing::info!(repository = %name, "an upload expired"),
            Err(error) => {
                tracing::warn!(repository = %name, %error, "an expired upload was not cancelled");
            }
        }
    }
}

/// Has the backend end the uploads that earlier processes left, if that was not done of late. A read-only
/// server does not; for a proxy the upstream registry does.
pub(crate) async fn sweep(shared: &Shared) {
    let uploads = shared.registry.capabilities().uploads;
    if !uploads.is_possible() || !shared.sessions.is_sweep_due() {
        return;
    }
    match shared
        .registry
        .expire_uploads(shared.sessions.expiry())
        .await
    {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "uploads of earlier runs expired"),
        Err(error) => tracing::warn!(%error, "uploads of earlier runs were not cancelled"),
    }
}

async fn resume_and_cancel(shared: &Shared, name: &RepositoryName, id: &UploadId) -> Result<()> {
    let repository = shared.registry.repository(name).await?;
    match repository.blobs().resume(id).await {
        Ok(upload) => upload.cancel().await,
        Err(error) if error.is_not_found() || error.is_unsupported() => Ok(()),
        Err(error) => Err(error),
    }
}
