//! Starts uploads, with a mount from any repository where the registry supports that.

use tranship::{Descriptor, Error, ErrorKind, Result};

use super::session::{MountFrom, StartedUpload, UploadSession};
use crate::repository_client::RepositoryClient;

/// Starts an upload. The same request asks the registry to mount the blob from any repository that has it.
pub(super) async fn begin(
    client: &RepositoryClient,
    expected: &Descriptor,
) -> Result<StartedUpload> {
    let algorithm = Some(expected.digest().algorithm());
    let anonymous = &client.learned().anonymous_mount;
    if !anonymous.is_no() {
        let mount = Some((expected.digest(), MountFrom::Anywhere));
        match UploadSession::start(client, algorithm, mount).await {
            Ok(started) => return Ok(started),
            Err(error) if is_refusal(&error) => anonymous.learn(false),
            Err(error) => return Err(error),
        }
    }
    UploadSession::start(client, algorithm, None).await
}

/// Returns whether the registry understood and refused the request, so that another method may succeed.
pub(super) fn is_refusal(error: &Error) -> bool {
    !error.is_retryable()
        && matches!(
            error.kind(),
            ErrorKind::NotFound
                | ErrorKind::Unsupported
                | ErrorKind::Denied
                | ErrorKind::Unauthorized
                | ErrorKind::InvalidInput
                | ErrorKind::InvalidReference
                | ErrorKind::DigestMismatch
                | ErrorKind::Conflict
        )
}
