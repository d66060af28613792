//! Makes stored content durable before a call relies on it.
//!
//! A call succeeds only when everything that its result depends on is durable, whoever stored it. tranship
//! syncs a blob before it gets its name ([`Durability::Full`](crate::Durability)). Other tools sync little or
//! nothing, and a name that another process has just set may not be on the disk. So files and directories
//! that are found are synced here, unless this process knows that they are durable.

use std::fs::{File, Metadata};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use tranship::{Algorithm, Descriptor, Digest, Error, ErrorKind, MediaType, Result, Verifier};

use super::super::lock::is_noted;
use super::super::suspects::{FILE_SYSTEM, name_of};
use super::{BLOB_MODE, Commit};
use crate::driver::file::{
    failed, not_named, open_no_follow, open_regular, read_pieces, stat_regular,
};
use crate::driver::names::{above, sync_names};
use crate::driver::stamp::Stamp;
use crate::driver::{BLOBS, INDEX, OCI_LAYOUT, disk};

/// With more files than this, one sync of the whole file system is cheaper than one of each. On a file
/// system that others write to it may take much longer, so it is not for a few.
pub(in crate::driver::local) const MANY: usize = 16;

impl Commit {
    /// Makes those of `digests` durable that are stored here. Others are skipped.
    ///
    /// # Errors
    /// If one of them can neither be synced nor be replaced by a copy.
    pub(in crate::driver::local) fn secure_blobs(
        &self,
        digests: impl Iterator<Item = Digest>,
    ) -> Result<()> {
        if !self.syncs() {
            return Ok(());
        }
        let mut unknown = Vec::new();
        for digest in digests {
            let Some(path) = self.paths.blob(&digest)? else {
                continue;
            };
            let Some(metadata) = stat_regular(&path)? else {
                continue;
            };
            if self.durable.knows(&digest, &metadata) {
                continue;
            }
            if unknown.len() == MANY {
                if self.sync_file_system() {
                    return Ok(());
                }
                self.secure_few(&std::mem::take(&mut unknown))?;
            }
            unknown.push((digest, path, metadata));
        }
        self.secure_few(&unknown)
    }

    fn secure_few(&self, blobs: &[(Digest, PathBuf, Metadata)]) -> Result<()> {
        let mut directories: Vec<&Path> = Vec::new();
        for (digest, path, _) in blobs {
            self.secure_blob(digest, path)?;
            if let Some(directory) = path.parent()
                && !directories.contains(&directory)
            {
                directories.push(directory);
            }
        }
        for directory in directories {
            self.secure_names(directory)?;
        }
        for (digest, _, metadata) in blobs {
            self.durable.remember_state(digest, metadata);
        }
        Ok(())
    }

    /// Makes the content of the blob at `path` durable.
    fn secure_blob(&self, digest: &Digest, path: &Path) -> Result<()> {
        let name = name_of(digest);
        let is_suspect = self.paths.is_suspect(&name);
        let file = match open_to_sync(path) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(()),
            // A file that we may not read can be synced with the rest.
            Err(error)
                if error.kind() == ErrorKind::PermissionDenied
                    && !is_suspect
                    && self.sync_file_system_of(&self.open_root()?) =>
            {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if !is_suspect {
            if disk::sync_file(&file, path).is_ok() {
                return Ok(());
            }
            self.paths.suspect(&name);
        }
        let new = rewritten(self, digest, path)?;
        disk::persist(new, path).map_err(|error| not_named(path, error.error))?;
        if let Some(directory) = path.parent() {
            self.sync_directory(directory)?;
        }
        self.paths.trust(&name);
        Ok(())
    }

    /// Makes durable the names of blobs in `directory`, and of all directories above them.
    pub(in crate::driver::local) fn secure_names(&self, directory: &Path) -> Result<()> {
        self.sync_directory(directory)?;
        self.secure_directory(directory)
    }

    /// Makes durable that `directory` and all directories above it have their names, and that this is a
    /// layout: once, unless a directory is replaced.
    pub(in crate::driver::local) fn secure_directory(&self, directory: &Path) -> Result<()> {
        if !self.syncs() || self.knows_directory(directory)? {
            return Ok(());
        }
        // Whatever `index.json` names is below directories that are durable.
        let index = stat_regular(&self.paths.file(INDEX))?;
        let is_known = |found| self.is_index_secure(&Stamp::of(&found));
        let stops_at = match index.is_some_and(is_known) {
            true => Some(self.paths.file(BLOBS)),
            false => {
                self.secure_marker()?;
                None
            }
        };
        let mut secured = vec![directory];
        for above in above(directory) {
            sync_names(above)?;
            if Some(above) == stops_at.as_deref() || self.knows_directory(above)? {
                break;
            }
            secured.push(above);
        }
        for directory in secured {
            self.durable.remember_directory(directory);
        }
        Ok(())
    }

    fn knows_directory(&self, directory: &Path) -> Result<bool> {
        Ok(self.durable.knows_directory(directory))
    }

    /// Remembers that `index.json` is durable in the state `stamp`, with everything that it names.
    pub(in crate::driver::local) fn remember_index(&self, stamp: &Stamp) {
        self.durable.remember_index(stamp);
    }

    /// Returns whether nothing needs a sync for `index.json` in the state `stamp`.
    pub(in crate::driver::local) fn is_index_secure(&self, stamp: &Stamp) -> bool {
        !self.syncs() || self.durable.knows_index(stamp) || is_noted(&self.paths, stamp)
    }

    /// Makes durable that this is a layout.
    fn secure_marker(&self) -> Result<()> {
        let path = self.paths.file(OCI_LAYOUT);
        let Some(file) = open_to_sync(&path)? else {
            return Ok(());
        };
        if !self.paths.is_suspect(OCI_LAYOUT) {
            if disk::sync_file(&file, &path).is_ok() {
                return Ok(());
            }
            self.paths.suspect(OCI_LAYOUT);
        }
        self.write_marker()?;
        self.paths.trust(OCI_LAYOUT);
        Ok(())
    }

    /// Makes everything in the file system of the layout durable. Returns `false` if that failed, or if the
    /// system does not report failures.
    pub(in crate::driver::local) fn sync_file_system(&self) -> bool {
        let Ok(root) = self.open_root() else {
            return false;
        };
        self.sync_file_system_of(&root) && self.replace_suspects().is_ok()
    }

    fn open_root(&self) -> Result<File> {
        File::open(self.paths.root()).map_err(|error| failed("opened", self.paths.root(), error))
    }

    /// As [`sync_file_system`](Self::sync_file_system), through `file`, which was opened before the content was
    /// written, and without replacing any suspects.
    pub(in crate::driver::local) fn sync_file_system_of(&self, file: &File) -> bool {
        if !disk::can_sync_file_system(file) || self.paths.is_suspect(FILE_SYSTEM) {
            return false;
        }
        let is_synced = disk::sync_file_system(file, self.paths.root()).is_ok();
        if !is_synced {
            // From now on, only a sync of a file itself reports that its content was lost.
            self.paths.suspect(FILE_SYSTEM);
        }
        is_synced
    }

    /// Replaces the files that a sync of the file system does not make durable.
    fn replace_suspects(&self) -> Result<()> {
        if self.paths.is_suspect(OCI_LAYOUT) {
            self.secure_marker()?;
        }
        for digest in self.paths.suspects() {
            if let Some(path) = self.paths.blob(&digest)? {
                self.secure_blob(&digest, &path)?;
            }
        }
        Ok(())
    }

    /// Makes all blobs of the layout durable, file by file.
    pub(in crate::driver::local) fn sync_all_blobs(&self) -> Result<()> {
        for algorithm in Algorithm::ALL {
            let directory = self.paths.file(BLOBS).join(algorithm.as_str());
            let entries = match std::fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed("listed", &directory, error)),
            };
            for entry in entries {
                let entry = entry.map_err(|error| failed("listed", &directory, error))?;
                let name = entry.file_name();
                let digest = name
                    .to_str()
                    .map(|hex| format!("{algorithm}:{hex}").parse());
                if let Some(Ok(digest)) = digest {
                    self.secure_blob(&digest, &entry.path())?;
                }
            }
            self.secure_names(&directory)?;
        }
        Ok(())
    }
}

/// Opens a file for a sync; `None` if it is gone.
///
/// # Errors
/// `Corrupt` if it is not a regular file.
pub(in crate::driver::local) fn open_to_sync(path: &Path) -> Result<Option<File>> {
    let mut options = File::options();
    // Windows syncs only files that are open for writing. Our blobs are writable there.
    options.read(true).write(cfg!(not(unix)));
    let Some(file) = open_no_follow(&mut options, path)? else {
        return Ok(None);
    };
    let metadata = file.metadata();
    let metadata = metadata.map_err(|error| failed("inspected", path, error))?;
    match metadata.is_file() {
        true => Ok(Some(file)),
        false => {
            Err(Error::new(ErrorKind::Corrupt, "is not a regular file")
                .with_subject(path.display()))
        }
    }
}

/// Returns a durable copy of the blob `digest` at `path`, which could not be made durable itself.
pub(in crate::driver::local) fn rewritten(
    commit: &Commit,
    digest: &Digest,
    path: &Path,
) -> Result<NamedTempFile> {
    let Some((file, metadata)) = open_regular(path)? else {
        return Err(Error::not_found(path.display()));
    };
    let target = Descriptor::new(MediaType::OCTET_STREAM, *digest, metadata.len());
    let mut verifier = Verifier::new(&target);
    let mut new = commit.temporary_file(BLOB_MODE)?;
    let to = new.path().to_owned();
    let written = |error| failed("written", &to, error);
    read_pieces(&file, path, metadata.len(), |bytes| {
        verifier.update(bytes)?;
        new.as_file_mut().write_all(bytes).map_err(written)
    })?;
    verifier.finish()?;
    disk::sync_file(new.as_file(), new.path()).map_err(|error| failed("synced", &to, error))?;
    Ok(new)
}
