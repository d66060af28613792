//! The end of uploads that nobody goes on with.

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

async fn resume_and_cancel(shared: &Shared, name: &RepositoryName, id: &UploadId) -> Result<()> {
    let repository = shared.registry.repository(name).await?;
    let Some(uploader) = repository.blobs().uploader() else {
        return Ok(());
    };
    match uploader.resume(id).await {
        Ok(upload) => upload.cancel().await,
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}
