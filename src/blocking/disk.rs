//! Short calls of a file system, made where they cost least.

use std::sync::Arc;

use super::latency::Latency;
use super::pool::Pool;
use super::task;
use crate::error::Result;

/// What a piece of work on a file system does, which decides where it runs.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A few calls that look at files or open them.
    Look,
    /// Writes a small file.
    WriteSmall,
    /// Links or copies a small file.
    CopySmall,
    /// Writes or copies a small file, and waits until it is on the disk.
    Sync,
    /// Takes long: reads, copies or writes much content.
    Bulk,
}

/// Runs work on one file system: short calls in place while they return quickly, all others on blocking threads.
///
/// Work that is made in place holds up the task, as its file system did for shorter than half a millisecond of late.
/// If the future of a call is dropped, work that has begun is completed.
///
/// ```
/// use tranship::blocking::{Disk, Work};
/// use tranship::Error;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tranship::Result<()> {
/// let disk = Disk::default();
/// let look = || std::fs::metadata("Cargo.toml").map_err(|error| Error::io("cannot be inspected", error));
/// assert!(disk.run(Work::Look, look).await?.is_file());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Disk {
    latency: Arc<Latency>,
    pool: Arc<Pool>,
}

impl Disk {
    /// Runs `work` where its kind belongs, and waits for it.
    ///
    /// # Errors
    /// The error of `work`, or [`Io`](crate::ErrorKind::Io) if it panics or the runtime ends.
    pub async fn run<T: Send + 'static>(
        &self,
        kind: Work,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match kind {
            Work::Bulk => task::run(work).await,
            // How long a sync takes does not tell how long other calls will take.
            Work::Sync => self.pool.run(work).await,
            Work::Look if self.latency.is_low() => self.in_place(work),
            Work::Look => task::run(self.timed(work)).await,
            // Two threads that create files in one directory would wait for each other more than they work.
            Work::WriteSmall if self.latency.is_low() => self.in_place(work),
            Work::CopySmall if self.latency.is_low() => self.pool.share(self.timed(work)).await,
            Work::WriteSmall | Work::CopySmall => self.pool.run(self.timed(work)).await,
        }
    }

    /// Runs `look`, which makes a few calls, and runs `work` on a blocking thread if that finds nothing.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn look_first<T: Send + 'static>(
        &self,
        look: impl FnOnce() -> Result<Option<T>> + Send + 'static,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.latency.is_low() {
            return match self.in_place(look)? {
                Some(found) => Ok(found),
                None => task::run(work).await,
            };
        }
        let look = self.timed(look);
        task::run(move || match look()? {
            Some(found) => Ok(found),
            None => work(),
        })
        .await
    }

    fn in_place<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.latency.time(|| task::in_place(work))
    }

    /// Returns the same work, which notes how long it takes.
    fn timed<T, W: FnOnce() -> T>(&self, work: W) -> impl FnOnce() -> T + use<T, W> {
        let latency = Arc::clone(&self.latency);
        move || latency.time(work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::{self, ThreadId};
    use std::time::Duration;

    async fn thread_of(disk: &Disk, kind: Work) -> ThreadId {
        let work = || Ok(thread::current().id());
        disk.run(kind, work).await.expect("done")
    }

    /// Whether such work is made in place, sooner or later: on a busy machine any call can be slow.
    async fn is_in_place(disk: &Disk, kind: Work) -> bool {
        for _ in 0..10_000 {
            if thread_of(disk, kind).await == thread::current().id() {
                return true;
            }
        }
        false
    }

    #[tokio::test]
    async fn short_calls_are_made_in_place_once_they_are_known_to_be_quick() {
        let disk = Disk::default();
        assert_ne!(thread_of(&disk, Work::Look).await, thread::current().id());
        assert!(is_in_place(&disk, Work::Look).await);
        assert!(is_in_place(&disk, Work::WriteSmall).await);
        for kind in [Work::Sync, Work::Bulk] {
            assert_ne!(thread_of(&disk, kind).await, thread::current().id());
        }
    }

    #[tokio::test]
    async fn a_slow_call_sends_the_next_ones_to_other_threads() {
        let (disk, here) = (Disk::default(), thread::current().id());
        thread_of(&disk, Work::Look).await;
        let slow = || {
            thread::sleep(Duration::from_millis(200));
            Ok(())
        };
        disk.run(Work::Look, slow).await.expect("done");
        assert_ne!(thread_of(&disk, Work::Look).await, here);
        assert_ne!(thread_of(&disk, Work::WriteSmall).await, here);
    }

    #[tokio::test]
    async fn work_follows_a_look_that_finds_nothing() {
        let disk = Disk::default();
        // On another thread at first, as the latency is not known yet.
        for found in [Some(1), None, Some(1), None] {
            let expected = found.unwrap_or(2);
            let done = disk.look_first(move || Ok(found), || Ok(2)).await;
            assert_eq!(done.expect("done"), expected);
        }
    }
}
