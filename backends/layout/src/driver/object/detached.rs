//! Work that must not be interrupted.

use tranship::{Error, ErrorKind, Result};

/// Runs `work` to its end, even if this future is dropped.
pub(super) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let ended = tokio::spawn(work).await;
    ended.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Io, "the change was interrupted").with_source(error))
    })
}
