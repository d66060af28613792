//! Hashes everything, on all cores.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tranship::{Digest, Error, ErrorKind, Result};

use super::options::{FsckOptions, FsckProgress};
use crate::driver::{Driver, Observer, StoredName};

/// What lies under `blobs/`.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) blobs: HashMap<Digest, Content>,
    /// The paths and sizes of what is no blob.
    pub(super) strays: Vec<(String, u64)>,
}

/// One blob or manifest.
#[derive(Debug, Clone)]
pub(super) struct Content {
    /// In bytes.
    pub(super) size: u64,
    pub(super) state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It hashes to its digest, or was not looked at.
    Intact,
    Altered,
    /// Why it cannot be read.
    Unreadable(String),
}

/// Lists everything and hashes it; of what is in `intact` only the size is taken.
pub(super) async fn hash_all(
    driver: &dyn Driver,
    intact: &HashSet<Digest>,
    options: &FsckOptions,
) -> Result<Contents> {
    let mut contents = Contents::default();
    let mut to_hash = Vec::new();
    let mut pages = driver.stored();
    while let Some(page) = pages.try_next().await? {
        for stored in page {
            match stored.name {
                StoredName::Blob(digest) if intact.contains(&digest) => {
                    let (size, state) = (stored.size, State::Intact);
                    contents.blobs.insert(digest, Content { size, state });
                }
                StoredName::Blob(digest) => to_hash.push((digest, stored.size)),
                StoredName::Stray(path) => contents.strays.push((path, stored.size)),
            }
        }
    }
    contents.strays.sort_unstable();
    // Large blobs first, so that the last to end is a small one.
    to_hash.sort_unstable_by_key(|(digest, size)| (std::cmp::Reverse(*size), *digest));
    let meter = Arc::new(Meter::new(&to_hash, options));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut hashed = stream::iter(to_hash)
        .map(|(digest, size)| hash(driver, digest, size, &meter))
        .buffer_unordered(threads);
    while let Some((digest, content)) = hashed.try_next().await? {
        meter.done_with_blob();
        if let Some(content) = content {
            contents.blobs.insert(digest, content);
        }
    }
    drop(hashed);
    Ok(contents)
}

/// Hashes one blob; `None` if it is gone.
async fn hash(
    driver: &dyn Driver,
    digest: Digest,
    size: u64,
    meter: &Arc<Meter>,
) -> Result<(Digest, Option<Content>)> {
    let observe: Observer = {
        let meter = Arc::clone(meter);
        Arc::new(move |bytes| meter.add(bytes))
    };
    let content = match driver.hash_blob(&digest, observe).await {
        Ok(None) => None,
        Ok(Some(hashed)) => Some(Content {
            size: hashed.size,
            state: if hashed.is_intact {
                State::Intact
            } else {
                State::Altered
            },
        }),
        Err(error) if is_of_one_blob(&error) => Some(Content {
            size,
            state: State::Unreadable(describe(&error)),
        }),
        Err(error) => return Err(error),
    };
    Ok((digest, content))
}

/// Whether a failure says something of this blob, and nothing of the next.
fn is_of_one_blob(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::Io | ErrorKind::Corrupt | ErrorKind::SizeMismatch
    )
}

/// The error with its causes, on one line.
pub(super) fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

/// Counts what was hashed.
struct Meter {
    bytes: AtomicU64,
    blobs: AtomicU64,
    total_bytes: u64,
    total_blobs: u64,
    options: FsckOptions,
}

impl Meter {
    fn new(all: &[(Digest, u64)], options: &FsckOptions) -> Self {
        Self {
            bytes: AtomicU64::new(0),
            blobs: AtomicU64::new(0),
            total_bytes: all.iter().map(|(_, size)| size).sum(),
            total_blobs: all.len() as u64,
            options: options.clone(),
        }
    }

    fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.tell();
    }

    fn done_with_blob(&self) {
        self.blobs.fetch_add(1, Ordering::Relaxed);
        self.tell();
    }

    fn tell(&self) {
        if let Some(progress) = &self.options.progress {
            progress(FsckProgress {
                blobs: self.blobs.load(Ordering::Relaxed),
                total_blobs: self.total_blobs,
                bytes: self.bytes.load(Ordering::Relaxed),
                total_bytes: self.total_bytes,
            });
        }
    }
}
