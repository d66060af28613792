//! A file that is read while it is written.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::watch;

use crate::blocking;
use crate::{Body, Error, LocalFile, Result};

/// The first bytes of content that is being fetched, in a file without a name, for any number of readers.
#[derive(Debug)]
pub(super) struct Spool {
    file: Arc<File>,
    /// Whether nothing more can be written.
    is_broken: AtomicBool,
    progress: watch::Sender<Progress>,
}

/// How much of the content can be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// How many bytes are in the file.
    pub(super) available: u64,
    pub(super) end: Option<End>,
}

/// How the fetch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The content is stored, and verified.
    Stored,
    /// The content could not be stored, or not be read to its end.
    Failed,
    /// The bytes are not those of the digest.
    Altered,
    /// The upstream sent nothing for too long.
    Stalled,
}

impl Spool {
    /// Creates a file in `directory`, or in the system's directory for temporary files. The system removes it when it is
    /// closed.
    ///
    /// # Errors
    /// The error of the file system.
    pub(super) async fn create(directory: Option<Arc<Path>>) -> Result<Self> {
        let create = move || {
            let file = match directory {
                Some(directory) => tempfile::tempfile_in(directory),
                None => tempfile::tempfile(),
            };
            file.map_err(|error| Error::io("a temporary file cannot be created", error))
        };
        Ok(Self {
            file: Arc::new(blocking::run(create).await?),
            is_broken: AtomicBool::default(),
            progress: watch::Sender::default(),
        })
    }

    /// Appends `bytes`, which begin at `offset` of the content. Bytes that the file has, since the fetch was begun anew,
    /// are not written again. After an error nothing is written, and readers get no further bytes.
    pub(super) async fn append(&self, offset: u64, bytes: &Bytes) {
        let available = self.progress.borrow().available;
        let Some(known) = available.checked_sub(offset) else {
            return;
        };
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        if self.is_broken() || known >= bytes.len() {
            return;
        }
        // It stays broken if the write fails, or if this future is dropped while the write runs: the position in the
        // file is not known then.
        self.set_broken(true);
        let (file, bytes) = (Arc::clone(&self.file), bytes.slice(known..));
        let length = bytes.len();
        let write = move || {
            (&*file)
                .write_all(&bytes)
                .map_err(|error| Error::io("cannot be written", error))
        };
        if blocking::run_sized(length, write).await.is_ok() {
            self.set_broken(false);
            let available = available + length as u64;
            self.progress
                .send_modify(|progress| progress.available = available);
        }
    }

    fn set_broken(&self, is_broken: bool) {
        self.is_broken.store(is_broken, Ordering::Relaxed);
    }

    fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    /// Tells the readers how the fetch ended.
    pub(super) fn end(&self, end: End) {
        self.progress
            .send_modify(|progress| progress.end = Some(end));
    }

    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Returns the bytes from `start` to `end`, which are available.
    pub(super) fn part(&self, start: u64, end: u64) -> Body {
        Body::from_local_file(LocalFile::new(Arc::clone(&self.file), start..end))
    }
}
