//! Work that is too long for an async task.

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tranship::{Error, ErrorKind, Result};

/// What takes longer to hash or decode, in bytes, than it takes to hand over to another thread.
pub(crate) const WORTH_A_THREAD: usize = 64 * 1024;

/// Work that was begun.
#[derive(Debug)]
pub(crate) enum Job<T> {
    Done(T),
    Running(JoinHandle<T>),
}

impl<T: Send + 'static> Job<T> {
    /// Does `work` on `bytes` bytes: at once if they are few, else on a blocking thread. Outside of a
    /// tokio runtime there is none, and whoever calls does the work.
    pub(crate) fn start(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> Self {
        if bytes >= WORTH_A_THREAD
            && let Ok(runtime) = Handle::try_current()
        {
            return Self::Running(runtime.spawn_blocking(work));
        }
        Self::Done(work())
    }

    pub(crate) async fn finish(self) -> Result<T> {
        match self {
            Self::Done(result) => Ok(result),
            Self::Running(handle) => handle.await.map_err(|error| {
                Error::new(
                    ErrorKind::Io,
                    "the runtime stopped before the work was done",
                )
                .with_source(error)
            }),
        }
    }
}
