//! Work on blocking threads.

use tokio::task::{JoinHandle, spawn_blocking};
use tranship::{Error, ErrorKind, Result};

/// Runs `work`, which may block, and waits for it. If the future is dropped, work that has begun
/// goes on to its end.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    join(spawn_blocking(work)).await
}

/// Waits for work on a blocking thread.
pub(crate) async fn join<T>(handle: JoinHandle<Result<T>>) -> Result<T> {
    handle.await.unwrap_or_else(|error| {
        Err(
            Error::new(ErrorKind::Io, "the work on the file system was cut short")
                .with_source(error),
        )
    })
}
