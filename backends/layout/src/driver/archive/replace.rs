//! Replaces an archive by a new file, and makes it durable.

use std::fs::File;
use std::io;
use std::sync::Arc;

use tempfile::NamedTempFile;
use tranship::{Result, blocking};

use super::archive_file::ArchiveFile;
use super::contents::Contents;
use super::opened::stat;
use super::position::read_pieces;
use crate::driver::disk;
use crate::driver::file::failed;
use crate::driver::names::{sync_names, sync_names_above};
use crate::driver::position::write_all_at;
use crate::driver::stamp::Stamp;

/// The result of an attempt to replace an archive.
pub(super) enum Replacement {
    /// The archive was replaced. Without the new contents if a program that does not lock the archive has replaced it
    /// since.
    Done(Option<Arc<Contents>>),
    /// Another program has replaced the archive. This is the file that was to replace it.
    Conflict(NamedTempFile),
}

impl ArchiveFile {
    /// Makes the current archive durable, unless durability is relaxed. Another process may have written it.
    pub(super) async fn secure_all(self: &Arc<Self>) -> Result<()> {
        if !self.syncs() {
            return Ok(());
        }
        let archive = Arc::clone(self);
        blocking::run(move || archive.secure()).await
    }

    fn secure(&self) -> Result<()> {
        let found = stat(self.path())?.map(|found| Stamp::of(&found));
        if found.is_none() || *self.lock_durable() == found {
            return Ok(());
        }
        let file = File::open(self.path()).map_err(|error| failed("opened", self.path(), error))?;
        if let Err(error) = disk::sync_file(&file, self.path()) {
            // After a failed sync, a second one may succeed although data was lost.
            let rewritten = self.retry_under_lock(|current| self.rewrite(current.as_deref()));
            return rewritten.map_err(|_| failed("synced", self.path(), error));
        }
        self.secure_name()?;
        *self.lock_durable() = found;
        Ok(())
    }

    /// Makes the name of the archive durable.
    fn secure_name(&self) -> Result<()> {
        let is_above_durable = self.lock_durable().is_some();
        match self.path().parent() {
            Some(directory) if is_above_durable => sync_names(directory),
            _ => sync_names_above(self.path()),
        }
    }

    /// Replaces the archive by a copy of itself; returns `None` if another program has replaced it.
    fn rewrite(&self, current: Option<&Contents>) -> Result<Option<()>> {
        let Some(current) = current else {
            return Ok(Some(()));
        };
        let new = self.temporary()?;
        let mut at = 0;
        read_pieces(
            &current.opened.file,
            &(0..current.opened.metadata.len()),
            |piece| {
                write_all_at(new.as_file(), piece, at)?;
                at += piece.len() as u64;
                Ok::<_, io::Error>(())
            },
        )
        .map_err(|error| failed("copied", self.path(), error))?;
        Ok(match self.replace(new, Some(current))? {
            Replacement::Done(_) => Some(()),
            Replacement::Conflict(_) => None,
        })
    }

    /// Renames a complete file to the path of the archive, unless its contents are not `current` any more.
    pub(super) fn replace(
        &self,
        file: NamedTempFile,
        current: Option<&Contents>,
    ) -> Result<Replacement> {
        if let Some(current) = current {
            let permissions = current.opened.metadata.permissions();
            file.as_file()
                .set_permissions(permissions)
                .map_err(|error| failed("written", file.path(), error))?;
        }
        if self.syncs() {
            disk::sync_file(file.as_file(), file.path())
                .map_err(|error| failed("synced", file.path(), error))?;
        }
        let found = stat(self.path())?.map(|found| Stamp::of(&found));
        if found.as_ref() != current.map(|current| &current.opened.stamp) {
            return Ok(Replacement::Conflict(file));
        }
        let persisted = match current {
            Some(_) => disk::persist(file, self.path()),
            None => disk::persist_noclobber(file, self.path()),
        };
        let file = match persisted {
            Ok(file) => file,
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                return Ok(Replacement::Conflict(error.file));
            }
            Err(error) => return Err(failed("replaced", self.path(), error.error)),
        };
        // While the new file is locked, no writer that locks the archive replaces it.
        let new = self.current();
        // Readers may keep this handle open, and the next writer waits for the lock.
        file.unlock()
            .map_err(|error| failed("unlocked", self.path(), error))?;
        let ours = file
            .metadata()
            .map_err(|error| failed("inspected", self.path(), error))?;
        let ours = Stamp::of(&ours);
        if self.syncs() {
            self.secure_name()?;
            *self.lock_durable() = Some(ours.clone());
        }
        let is_ours = |new: &Arc<Contents>| new.opened.stamp == ours;
        Ok(Replacement::Done(new?.filter(is_ours)))
    }
}
