//! Work that must not be interrupted.

use tranship::{Error, ErrorKind, Result};

/// Runs `work` to its end, even if the returned future is dropped.
pub(super) async fn run_detached<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let ended = tokio::spawn(work).await;
    ended.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Io, "the change was interrupted").with_source(error))
    })
}
