//! A new docker-archive in a temporary file.

use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tempfile::NamedTempFile;
use tokio::sync::OwnedMutexGuard;
use tranship::{Digest, Error, ErrorKind, Result, encode_json};
use tranship_tar::{BLOCK, TRAILER};

use super::manifest_json::{ImageItem, MANIFEST, repositories};
use super::new_images::{NewImage, config_name, layer_name, new_images};
use super::pushed::{PushedContent, PushedLayer};
use super::tags::ImageName;
use crate::driver::archive::archive_file::ArchiveFile;
use crate::driver::archive::contents::{Blob, Contents};
use crate::driver::archive::position::read_pieces;
use crate::driver::archive::read::read_index;
use crate::driver::archive::replace::Replacement;
use crate::driver::file::failed;
use crate::driver::position::write_all_at;
use crate::driver::{IndexEdit, vanished};

/// An assembly that only its owner writes to.
pub(super) type AssemblyGuard = OwnedMutexGuard<Assembly>;

/// Members by name, in the order of their positions.
type Members = Vec<(String, Range<u64>)>;

/// A new docker-archive that is being written.
#[derive(Debug)]
pub(super) struct Assembly {
    archive: Arc<ArchiveFile>,
    file: Option<NamedTempFile>,
    /// The position of the next member.
    end: u64,
    members: Members,
    pushed: Arc<Mutex<PushedContent>>,
}

impl Assembly {
    pub(super) fn new(archive: Arc<ArchiveFile>) -> Self {
        Self {
            archive,
            file: None,
            end: 0,
            members: Vec::new(),
            pushed: Arc::default(),
        }
    }

    pub(super) fn pushed(&self) -> Arc<Mutex<PushedContent>> {
        Arc::clone(&self.pushed)
    }

    fn lock_pushed(&self) -> MutexGuard<'_, PushedContent> {
        self.pushed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn path(&self) -> &Path {
        self.archive.path()
    }

    /// Returns the position of the next member. Its content starts one block later.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(member, _)| member == name)
    }

    fn temporary(&mut self) -> Result<&NamedTempFile> {
        if self.file.is_none() {
            self.file = Some(self.archive.temporary()?);
        }
        match &self.file {
            Some(file) => Ok(file),
            None => Err(Error::new(ErrorKind::Io, "the archive was not begun")),
        }
    }

    /// Returns the file, in which content can be written after the [end](Self::end).
    pub(super) fn file(&mut self) -> Result<Arc<File>> {
        let file = self.temporary()?;
        let shared = file.as_file().try_clone();
        shared
            .map(Arc::new)
            .map_err(|error| failed("opened", file.path(), error))
    }

    fn write(&mut self, bytes: &[u8], position: u64) -> Result<()> {
        let file = self.temporary()?;
        write_all_at(file.as_file(), bytes, position)
            .map_err(|error| failed("written", self.archive.path(), error))
    }

    pub(super) fn add_manifest(&mut self, digest: &Digest, content: Bytes) {
        self.lock_pushed().content.insert(*digest, content);
    }

    pub(super) fn add_config(&mut self, digest: &Digest, content: Bytes) -> Result<()> {
        let name = config_name(digest);
        if !self.has(&name) {
            self.add_file(name, &content)?;
        }
        self.lock_pushed().content.insert(*digest, content);
        Ok(())
    }

    fn add_file(&mut self, name: String, content: &[u8]) -> Result<()> {
        self.write(content, self.end + BLOCK)?;
        self.finish_member(name, self.end + BLOCK + content.len() as u64)
    }

    /// Adds a member whose content was written up to `end`.
    fn finish_member(&mut self, name: String, end: u64) -> Result<()> {
        let start = self.end;
        let header = tranship_tar::file_header_in_one_block(&name, end - start - BLOCK)?;
        self.write(&header, start)?;
        let padding = tranship_tar::padding(end);
        self.write(padding, end)?;
        self.end = end + padding.len() as u64;
        self.members.push((name, start..self.end));
        Ok(())
    }

    /// Adds a layer whose content was written up to `end`.
    pub(super) fn add_layer(
        &mut self,
        digest: &Digest,
        size: u64,
        diff_id: &Digest,
        end: u64,
    ) -> Result<()> {
        let name = layer_name(diff_id);
        // It was pushed before, with another compression: the next member overwrites it.
        if !self.has(&name) {
            self.finish_member(name, end)?;
        }
        let diff_id = *diff_id;
        self.lock_pushed()
            .layers
            .insert(*digest, PushedLayer { size, diff_id });
        Ok(())
    }

    /// Returns a new archive with the members of `images`, from `base` and this one.
    fn rebuild(&self, base: Option<&Contents>, images: &[NewImage]) -> Result<Self> {
        let mut new = Self::new(Arc::clone(&self.archive));
        let names: HashSet<&str> = images.iter().flat_map(NewImage::names).collect();
        if let Some(base) = base {
            for (name, data) in images.iter().flat_map(|image| &image.stored) {
                if !new.has(name) {
                    let from = (&*base.opened.file, &*base.opened.path);
                    let end = new.copy(from, data, new.end + BLOCK)?;
                    new.finish_member(name.clone(), end)?;
                }
            }
        }
        if let Some(file) = &self.file {
            for (name, whole) in &self.members {
                if names.contains(name.as_str()) && !new.has(name) {
                    let start = new.end;
                    let end = new.copy((file.as_file(), file.path()), whole, start)?;
                    new.members.push((name.clone(), start..end));
                    new.end = end;
                }
            }
        }
        Ok(new)
    }

    /// Copies a part of another file to `position`, and returns its end there.
    fn copy(&mut self, from: (&File, &Path), range: &Range<u64>, position: u64) -> Result<u64> {
        let to = self.file()?;
        let mut at = position;
        read_pieces(from.0, range, |piece| {
            write_all_at(&to, piece, at)?;
            at += piece.len() as u64;
            Ok::<_, std::io::Error>(())
        })
        .map_err(|error| failed("copied to the new archive", from.1, error))?;
        Ok(at)
    }

    /// Replaces `base` by the file; returns `false` if `base` is not the current archive any more.
    fn replace(&mut self, items: &[ImageItem], base: Option<&Contents>) -> Result<bool> {
        let manifest = encode_json(&items)?;
        self.add_file(MANIFEST.to_owned(), &manifest)?;
        let repositories = encode_json(&repositories(items))?;
        self.add_file("repositories".to_owned(), &repositories)?;
        self.write(&TRAILER, self.end)?;
        let length = self.end + TRAILER.len() as u64;
        let Some(file) = self.file.take() else {
            return Err(Error::new(ErrorKind::Io, "the archive was not begun"));
        };
        // A failed push may have written beyond the end.
        file.as_file()
            .set_len(length)
            .map_err(|error| failed("written", self.archive.path(), error))?;
        match self.archive.replace(file, base)? {
            Replacement::Done(_) => Ok(true),
            Replacement::Conflict(file) => {
                self.file = Some(file);
                Ok(false)
            }
        }
    }
}

/// Replaces the archive by the assembled images, listed as in the index of `edit`.
pub(super) fn publish(
    archive: &Arc<ArchiveFile>,
    mut assembly: AssemblyGuard,
    name: &ImageName,
    limit: u64,
    mut edit: IndexEdit,
) -> Result<()> {
    archive.retry_under_lock(|current| {
        let found = read_index(current.as_ref(), None, limit)?;
        let change = edit(found.state())?;
        let Some(content) = change.content.clone() else {
            return Ok(Some(()));
        };
        let content = content.into_bytes();
        let base = current.as_deref();
        for (digest, size) in change.required() {
            let stored = || base.and_then(|base| base.blobs.get(&digest).map(Blob::size));
            if assembly.lock_pushed().size(&digest).or_else(stored) != Some(size) {
                return Err(vanished(&digest));
            }
        }
        let images = new_images(&assembly.lock_pushed(), base, &content, name)?;
        let names: HashSet<&str> = images.iter().flat_map(NewImage::names).collect();
        let is_ready = base.is_none()
            && assembly
                .members
                .iter()
                .all(|(name, _)| names.contains(name.as_str()));
        let mut new;
        let new = if is_ready {
            // The file has exactly the members that are listed.
            &mut *assembly
        } else {
            new = assembly.rebuild(base, &images)?;
            &mut new
        };
        let items: Vec<ImageItem> = images.into_iter().map(|image| image.item).collect();
        Ok(new.replace(&items, base)?.then_some(()))
    })
}
