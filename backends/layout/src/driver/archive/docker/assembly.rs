//! An archive of docker that comes to be, in a temporary file.

use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tempfile::NamedTempFile;
use tokio::sync::OwnedMutexGuard;
use tranship::{Digest, Error, ErrorKind, Result, encode_json};

use super::manifest_json::{Item, MANIFEST, repositories};
use super::pushed::{Known, Pushed};
use super::tags::ImageName;
use super::wanted::{Wanted, config_name, layer_name, wanted};
use crate::driver::archive::contents::{Blob, Contents};
use crate::driver::archive::header;
use crate::driver::archive::place::{Place, Replaced};
use crate::driver::archive::position::read_pieces;
use crate::driver::archive::reading::read_index;
use crate::driver::archive::scan::BLOCK;
use crate::driver::file::failed;
use crate::driver::position::write_all_at;
use crate::driver::{IndexEdit, vanished};

/// The archive, and the right to write to it.
pub(super) type Turn = OwnedMutexGuard<Assembly>;

/// Members by name, in the order in which they lie in the file.
type Members = Vec<(String, Range<u64>)>;

#[derive(Debug)]
pub(super) struct Assembly {
    place: Arc<Place>,
    file: Option<NamedTempFile>,
    /// Where the next member goes.
    end: u64,
    members: Members,
    known: Arc<Mutex<Known>>,
}

impl Assembly {
    pub(super) fn new(place: Arc<Place>) -> Self {
        Self {
            place,
            file: None,
            end: 0,
            members: Vec::new(),
            known: Arc::default(),
        }
    }

    pub(super) fn known(&self) -> Arc<Mutex<Known>> {
        Arc::clone(&self.known)
    }

    fn lock_known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn path(&self) -> &Path {
        self.place.path()
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(known, _)| known == name)
    }

    fn temporary(&mut self) -> Result<&NamedTempFile> {
        if self.file.is_none() {
            self.file = Some(self.place.temporary()?);
        }
        match &self.file {
            Some(file) => Ok(file),
            None => Err(Error::new(ErrorKind::Io, "the archive was not begun")),
        }
    }

    /// The file, to be written behind its end.
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
            .map_err(|error| failed("written", self.place.path(), error))
    }

    pub(super) fn add_manifest(&mut self, digest: &Digest, content: Bytes) {
        self.lock_known().content.insert(*digest, content);
    }

    pub(super) fn add_config(&mut self, digest: &Digest, content: Bytes) -> Result<()> {
        let name = config_name(digest);
        if !self.has(&name) {
            self.add_file(name, &content)?;
        }
        self.lock_known().content.insert(*digest, content);
        Ok(())
    }

    fn add_file(&mut self, name: String, content: &[u8]) -> Result<()> {
        self.write(content, self.end + BLOCK)?;
        self.end_member(name, self.end + BLOCK + content.len() as u64)
    }

    /// Says that the content of a member was written behind the end, one block away, up to `end`.
    fn end_member(&mut self, name: String, end: u64) -> Result<()> {
        let start = self.end;
        let header = header::block(&name, end - start - BLOCK)?;
        self.write(&header, start)?;
        let padding = vec![0; header::padding(end)];
        self.write(&padding, end)?;
        self.end = end + padding.len() as u64;
        self.members.push((name, start..self.end));
        Ok(())
    }

    /// Says that a layer was written behind the end.
    pub(super) fn add_layer(
        &mut self,
        digest: &Digest,
        size: u64,
        diff_id: &Digest,
        end: u64,
    ) -> Result<()> {
        let name = layer_name(diff_id);
        // Compressed in another way it was there before: the next member takes its place.
        if !self.has(&name) {
            self.end_member(name, end)?;
        }
        let diff_id = *diff_id;
        self.lock_known()
            .layers
            .insert(*digest, Pushed { size, diff_id });
        Ok(())
    }

    /// Starts a new file with those members of `base` that `wanted` names, followed by those of this
    /// one.
    fn over(&self, base: Option<&Contents>, wanted: &[Wanted]) -> Result<Self> {
        let mut new = Self::new(Arc::clone(&self.place));
        let names: HashSet<&str> = wanted.iter().flat_map(Wanted::names).collect();
        if let Some(base) = base {
            for (name, data) in wanted.iter().flat_map(|image| &image.stored) {
                if !new.has(name) {
                    let from = (&*base.opened.file, &*base.opened.path);
                    let end = new.copy(from, data, new.end + BLOCK)?;
                    new.end_member(name.clone(), end)?;
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

    /// Copies a part of another file to `position`, and answers where it ends.
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

    /// Puts the file in place of `base`. `false` if something else lies there.
    fn replace(&mut self, items: &[Item], base: Option<&Contents>) -> Result<bool> {
        let manifest = encode_json(&items)?;
        self.add_file(MANIFEST.to_owned(), &manifest)?;
        let repositories = encode_json(&repositories(items))?;
        self.add_file("repositories".to_owned(), &repositories)?;
        self.write(&header::TRAILER, self.end)?;
        let length = self.end + header::TRAILER.len() as u64;
        let Some(file) = self.file.take() else {
            return Err(Error::new(ErrorKind::Io, "the archive was not begun"));
        };
        // Behind it may lie what a push left that failed.
        file.as_file()
            .set_len(length)
            .map_err(|error| failed("written", self.place.path(), error))?;
        match self.place.replace(file, base)? {
            Replaced::Yes(_) => Ok(true),
            Replaced::No(file) => {
                self.file = Some(file);
                Ok(false)
            }
        }
    }
}

/// Puts what was assembled, listed as `edit` says, in place of the archive.
pub(super) fn publish(
    place: &Arc<Place>,
    mut assembly: Turn,
    name: &ImageName,
    limit: u64,
    mut edit: IndexEdit,
) -> Result<()> {
    place.replacing(|current| {
        let found = read_index(current.as_ref(), None, limit)?;
        let change = edit(found.state())?;
        let Some(content) = &change.content else {
            return Ok(Some(()));
        };
        let base = current.as_deref();
        for (digest, size) in change.required() {
            let stored = || base.and_then(|base| base.blobs.get(&digest).map(Blob::size));
            if assembly.lock_known().size(&digest).or_else(stored) != Some(size) {
                return Err(vanished(&digest));
            }
        }
        let wanted = wanted(&assembly.lock_known(), base, content, name)?;
        let names: HashSet<&str> = wanted.iter().flat_map(Wanted::names).collect();
        let is_ready = base.is_none()
            && assembly
                .members
                .iter()
                .all(|(name, _)| names.contains(name.as_str()));
        let mut new;
        let new = if is_ready {
            // What was pushed is all there is: it is there already.
            &mut *assembly
        } else {
            new = assembly.over(base, &wanted)?;
            &mut new
        };
        let items: Vec<Item> = wanted.into_iter().map(|image| image.item).collect();
        Ok(new.replace(&items, base)?.then_some(()))
    })
}
