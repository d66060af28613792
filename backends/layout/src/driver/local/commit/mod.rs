//! How complete files become part of a layout, and when they are durable.

mod durable;
mod publish;
mod secure;
mod staging;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::{Builder, NamedTempFile};
use tranship::{Descriptor, Digest, Result};

use self::durable::Durable;
use super::paths::Paths;
use super::sync::SharedSync;
use crate::driver::file::{failed, is_directory, not_named, stat_regular, with_mode};
use crate::driver::stamp::Stamp;
use crate::driver::{BLOBS, INDEX, OCI_LAYOUT, disk, marker};
use crate::options::Durability;

pub(super) use self::secure::open_to_sync;
pub(super) use self::staging::{StagedKind, Staging};

/// Files of blobs are never written again.
pub(super) const BLOB_MODE: u32 = 0o444;

/// Stores files in one layout: at once, or in groups that are published together.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) paths: Arc<Paths>,
    durability: Durability,
    syncs: Mutex<HashMap<PathBuf, Arc<SharedSync>>>,
    /// The files and directories that are known to be durable.
    durable: Arc<Durable>,
    /// The blobs that are not published yet, in a batch that syncs.
    staging: Option<Staging>,
}

impl Commit {
    pub(super) fn new(paths: Arc<Paths>, durability: Durability) -> Self {
        Self {
            paths,
            durability,
            syncs: Mutex::default(),
            durable: Arc::default(),
            staging: None,
        }
    }

    /// Returns the same for a batch, whose blobs are published in groups.
    pub(super) fn for_batch(&self) -> Self {
        Self {
            durable: Arc::clone(&self.durable),
            staging: self.syncs().then(Staging::default),
            ..Self::new(Arc::new(self.paths.for_batch()), self.durability)
        }
    }

    /// Returns whether it is time to publish the blobs of a batch.
    pub(super) fn is_due(&self) -> bool {
        self.staging.as_ref().is_some_and(Staging::is_due)
    }

    /// Returns the temporary path of a blob that waits to be published.
    pub(super) fn staged(&self, digest: &Digest) -> Option<PathBuf> {
        self.staging.as_ref()?.find(digest)
    }

    /// Returns whether each blob is synced when it is stored.
    pub(super) fn syncs_at_once(&self) -> bool {
        self.syncs() && self.staging.is_none()
    }

    /// Returns the directory of temporary files, which is created if need be.
    pub(super) fn temporary(&self) -> Result<PathBuf> {
        let directory = self.paths.temporary()?;
        if let Some(staging) = &self.staging {
            staging.begin(&directory);
        }
        Ok(directory)
    }

    /// Returns an empty file that is removed when it is dropped. `mode` is subject to the umask.
    pub(super) fn temporary_file(&self, mode: u32) -> Result<NamedTempFile> {
        let directory = self.temporary()?;
        with_mode(&mut Builder::new(), mode)
            .tempfile_in(&directory)
            .map_err(|error| failed("created", &directory, error))
    }

    /// Gives the complete and verified file of a blob its name when it is durable: now, or with the batch.
    pub(super) fn store(&self, file: NamedTempFile, expected: &Descriptor) -> Result<()> {
        let digest = expected.digest();
        if let Some(staging) = &self.staging {
            self.prepare(digest)?;
            let (file, path) = file.into_parts();
            let file = (path, Arc::new(file));
            return staging.add(digest, file, StagedKind::Written, expected.size());
        }
        self.sync_file(file.as_file(), file.path())?;
        self.ensure_layout()?;
        let path = self.paths.blob_to_write(digest)?;
        self.publish(file, digest, &path)
    }

    /// Returns whether files are synced, at once or in groups.
    pub(super) fn syncs(&self) -> bool {
        self.durability == Durability::Full
    }

    /// Makes the content of `file` durable, unless durability is relaxed.
    pub(super) fn sync_file(&self, file: &File, path: &Path) -> Result<()> {
        if !self.syncs() {
            return Ok(());
        }
        disk::sync_file(file, path).map_err(|error| failed("synced", path, error))
    }

    /// Makes the entries of `directory` durable, unless durability is relaxed. Concurrent callers share one
    /// sync.
    pub(super) fn sync_directory(&self, directory: &Path) -> Result<()> {
        if !self.syncs() {
            return Ok(());
        }
        let shared = {
            let mut syncs = self.syncs.lock().unwrap_or_else(PoisonError::into_inner);
            match syncs.get(directory) {
                Some(shared) => Arc::clone(shared),
                None => Arc::clone(syncs.entry(directory.to_owned()).or_default()),
            }
        };
        shared
            .sync(directory)
            .map_err(|error| failed("synced", directory, error))
    }

    /// Gives a complete, verified and durable temporary file the name of a blob, over whatever has it.
    pub(super) fn publish<F>(
        &self,
        file: NamedTempFile<F>,
        digest: &Digest,
        path: &Path,
    ) -> Result<()> {
        disk::persist(file, path).map_err(|error| not_named(path, error.error))?;
        self.published(digest, path)
    }

    /// Makes durable that the file of a blob has its name.
    pub(super) fn published(&self, digest: &Digest, path: &Path) -> Result<()> {
        if let (true, Some(directory)) = (self.syncs(), path.parent()) {
            self.secure_names(directory)?;
            self.durable.remember(digest, path);
        }
        Ok(())
    }

    /// Makes the directory a layout, if it is none. Everything is in place before the file that says
    /// so: a layout is never seen half made, not after a power cut either.
    pub(super) fn ensure_layout(&self) -> Result<()> {
        if self.paths.is_known_layout() {
            return Ok(());
        }
        if stat_regular(&self.paths.file(OCI_LAYOUT))?.is_some() {
            self.paths.saw_layout();
            return Ok(());
        }
        let blobs = self.paths.file(BLOBS);
        if !is_directory(&blobs)? {
            self.paths.create_directory(&blobs)?;
        }
        let index = self.create_file(INDEX, crate::index::EMPTY_INDEX)?;
        self.sync_directory(self.paths.root())?;
        self.create_file(OCI_LAYOUT, marker::CONTENT)?;
        self.sync_directory(self.paths.root())?;
        self.secure_directory(self.paths.root())?;
        self.durable.remember_directory(&blobs);
        if let Some(Ok(created)) = index.map(|index| index.metadata()) {
            // It names nothing that would have to be durable.
            self.durable.remember_index(&Stamp::of(&created));
        }
        Ok(())
    }

    /// Writes `oci-layout`, over the file that is there.
    pub(super) fn write_marker(&self) -> Result<()> {
        let path = self.paths.file(OCI_LAYOUT);
        let file = self.complete_file(marker::CONTENT)?;
        disk::persist(file, &path).map_err(|error| not_named(&path, error.error))?;
        self.sync_directory(self.paths.root())
    }

    /// Creates a file, or returns `None` if there is one.
    fn create_file(&self, name: &str, content: &[u8]) -> Result<Option<File>> {
        let path = self.paths.file(name);
        if stat_regular(&path)?.is_some() {
            return Ok(None);
        }
        match disk::persist_noclobber(self.complete_file(content)?, &path) {
            Ok(created) => Ok(Some(created)),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(not_named(&path, error.error)),
        }
    }

    /// A temporary file with `content`, which is durable.
    pub(super) fn complete_file(&self, content: &[u8]) -> Result<NamedTempFile> {
        let mut file = self.temporary_file(0o666)?;
        file.write_all(content)
            .map_err(|error| failed("written", file.path(), error))?;
        self.sync_file(file.as_file(), file.path())?;
        Ok(file)
    }

    /// Makes the directory a layout with a directory for the blob `digest`, where a batch will publish it. Looks at
    /// a layout that does not exist cost more than looks at one.
    pub(super) fn prepare(&self, digest: &Digest) -> Result<()> {
        self.ensure_layout()?;
        self.paths.blob_to_write(digest).map(drop)
    }

    pub(super) fn staging(&self) -> Option<&Staging> {
        self.staging.as_ref()
    }

    /// Removes the file of a blob, and returns whether there was one.
    pub(super) fn remove_blob(&self, digest: &Digest) -> Result<bool> {
        let Some(path) = self.paths.blob(digest)? else {
            return Ok(false);
        };
        match disk::remove_file(&path) {
            Ok(()) => {
                if let Some(directory) = path.parent() {
                    self.sync_directory(directory)?;
                }
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("removed", &path, error)),
        }
    }
}
