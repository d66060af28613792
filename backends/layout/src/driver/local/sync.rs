//! Syncs of one directory, shared by all who wait for one at the same time.

use std::io;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::driver::disk::sync_directory;

/// A sync makes durable every entry that was there when it began. So those who come while one is
/// running share the next one.
#[derive(Debug, Default)]
pub(super) struct SharedSync {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    begun: u64,
    done: u64,
    running: bool,
    #[cfg(test)]
    waiting: u32,
}

impl SharedSync {
    /// Returns when a sync that began after this call has succeeded. Blocks.
    pub(super) fn sync(&self, directory: &Path) -> io::Result<()> {
        self.run(|| sync_directory(directory))
    }

    fn run(&self, sync: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let mut state = self.lock();
        let wanted = state.begun + 1;
        while state.done < wanted {
            if state.running {
                #[cfg(test)]
                {
                    state.waiting += 1;
                }
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.running = true;
            state.begun += 1;
            let turn = state.begun;
            drop(state);
            let outcome = sync();
            state = self.lock();
            state.running = false;
            if outcome.is_ok() {
                state.done = turn;
            }
            self.changed.notify_all();
            // Those who waited for a sync that failed make their own, and see why it fails.
            outcome?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;

    #[test]
    fn those_who_wait_together_share_one_sync() {
        let shared = Arc::new(SharedSync::default());
        let syncs = Arc::new(AtomicU32::new(0));
        let (started, first_runs) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let first = {
            let (shared, syncs) = (Arc::clone(&shared), Arc::clone(&syncs));
            std::thread::spawn(move || {
                let released = Mutex::new(Some(released));
                shared.run(|| {
                    syncs.fetch_add(1, Ordering::SeqCst);
                    started.send(()).expect("the test waits");
                    let released = released.lock().expect("no panic").take();
                    released.expect("once").recv().expect("the test releases");
                    Ok(())
                })
            })
        };
        first_runs.recv().expect("the first sync runs");
        let others: Vec<_> = (0..8)
            .map(|_| {
                let (shared, syncs) = (Arc::clone(&shared), Arc::clone(&syncs));
                std::thread::spawn(move || {
                    shared.run(|| {
                        syncs.fetch_add(1, Ordering::SeqCst);
                        Ok(())
                    })
                })
            })
            .collect();
        while shared.lock().waiting < 8 {
            std::thread::yield_now();
        }
        release.send(()).expect("the first waits");
        first.join().expect("no panic").expect("synced");
        for other in others {
            other.join().expect("no panic").expect("synced");
        }
        assert!(syncs.load(Ordering::SeqCst) <= 9);
        assert!(
            shared.lock().done >= 2,
            "the others needed one of their own"
        );
    }

    #[test]
    fn a_failed_sync_is_not_taken_for_one() {
        let shared = SharedSync::default();
        let failed = shared.run(|| Err(io::Error::other("the disk is gone")));
        assert!(failed.is_err());
        assert!(shared.run(|| Ok(())).is_ok());
        assert_eq!(shared.lock().done, 2);
    }
}
