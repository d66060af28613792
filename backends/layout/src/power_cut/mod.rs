//! Simulates power cuts, which lose everything that was not synced.
//!
//! A [`Recorder`] watches a directory. Drivers change names and sync through `driver/disk.rs`, which calls the
//! recorder. At each of these moments it notes all names, and which names and contents are durable. A power
//! cut at that moment leaves one of several [images](image). Each of them must be a sound layout that holds
//! everything that had been promised by then.

#[cfg(feature = "archive")]
mod archives;
mod checks;
mod failures;
mod image;
mod operations;
mod others;
mod recorder;
mod stage;
mod together;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use self::recorder::Recorder;
use crate::driver::disk::Synced;

/// The recorders, by the directories that they watch.
static RECORDERS: Mutex<Vec<(PathBuf, Weak<Recorder>)>> = Mutex::new(Vec::new());

/// Runs `call`, which changes the name `path`.
pub(crate) fn naming<T>(path: &Path, call: impl FnOnce() -> T) -> T {
    match recorder_of(path) {
        Some(recorder) => recorder.naming(call),
        None => call(),
    }
}

/// Runs `call`, which syncs `path`. Where a recorder watches, that notes the sync instead.
pub(crate) fn syncing(
    path: &Path,
    synced: Synced<'_>,
    call: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    match recorder_of(path) {
        Some(recorder) => recorder.syncing(path, synced),
        None => call(),
    }
}

fn recorder_of(path: &Path) -> Option<Arc<Recorder>> {
    let mut recorders = RECORDERS.lock().unwrap_or_else(PoisonError::into_inner);
    recorders.retain(|(_, recorder)| recorder.strong_count() > 0);
    let mut recorders = recorders.iter();
    let (_, recorder) = recorders.find(|(root, _)| path.starts_with(root))?;
    recorder.upgrade()
}

fn register(root: &Path, recorder: &Arc<Recorder>) {
    let mut recorders = RECORDERS.lock().unwrap_or_else(PoisonError::into_inner);
    recorders.push((root.to_owned(), Arc::downgrade(recorder)));
}
