//! Publishes the blobs of a batch in groups.

use std::fs::File;
use std::sync::PoisonError;

use tranship::{Digest, Result};

use super::super::suspects::name_of;
use super::Commit;
use super::secure::{MANY, rewritten};
use super::staging::{Staged, StagedKind, Staging};
use crate::driver::disk;
use crate::driver::file::not_named;

impl Commit {
    /// Publishes all blobs of a batch that have been stored so far, and makes them durable.
    ///
    /// # Errors
    /// If a blob cannot be made durable or named. All of them are lost then, and every later call fails.
    pub(in crate::driver::local) fn flush(&self) -> Result<()> {
        let Some(staging) = &self.staging else {
            return Ok(());
        };
        let _turn = staging
            .publishing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        staging.check()?;
        let outcome = self.publish_group(staging);
        if outcome.is_err() {
            staging.fail();
        }
        outcome
    }

    fn publish_group(&self, staging: &Staging) -> Result<()> {
        let mut group = staging.begin_group();
        if group.is_empty() {
            return Ok(());
        }
        self.sync_group(staging, &mut group)?;
        let are_few = group.len() <= MANY;
        let mut directories = Vec::new();
        for (digest, staged) in group {
            let path = self.paths.blob_to_write(&digest)?;
            let named = match staged.kind {
                StagedKind::Written => disk::persist_path(staged.path, &path),
                StagedKind::Link => disk::persist_link(staged.path, &path),
            };
            named.map_err(|error| not_named(&path, error.error))?;
            if are_few {
                self.durable.remember(&digest, &path);
            }
            let directory = path.parent().unwrap_or(&path);
            if !directories.iter().any(|known| known == directory) {
                directories.push(directory.to_owned());
            }
        }
        staging.end_group();
        for directory in &directories {
            self.secure_names(directory)?;
        }
        Ok(())
    }

    fn sync_group(&self, staging: &Staging, group: &mut [(Digest, Staged)]) -> Result<()> {
        if group.len() > MANY
            && let Some(Some(file_system)) = staging.file_system.get()
            && self.sync_file_system_of(file_system)
        {
            return Ok(());
        }
        for (digest, staged) in group {
            let path = &*staged.path;
            let synced = match &staged.file {
                Some(file) => disk::sync_file(file, path),
                None => File::open(path).and_then(|file| disk::sync_file(&file, path)),
            };
            if synced.is_ok() {
                continue;
            }
            // The file may be a link to one of another layout, which the next copy must not link again.
            self.paths.suspect(&name_of(digest));
            let new = rewritten(self, digest, path)?;
            disk::persist(new, path).map_err(|error| not_named(path, error.error))?;
            staged.kind = StagedKind::Written;
        }
        Ok(())
    }
}
