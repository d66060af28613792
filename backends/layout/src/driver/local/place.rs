//! Where the files of one layout lie, and how files come there.

use std::collections::HashMap;
use std::fs::{DirBuilder, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::{Builder, NamedTempFile};
use tranship::{Digest, Result};

use super::file::{failed, is_directory, stat_regular};
use super::sync::{SharedSync, sync_directory};
use crate::options::Durability;

/// What is ours in a layout: everything that is not part of the format lies in here.
const PRIVATE: &str = ".tranship";

pub(super) const OCI_LAYOUT: &str = "oci-layout";
pub(super) const INDEX: &str = "index.json";
pub(super) const BLOBS: &str = "blobs";

/// The directory of one layout.
#[derive(Debug)]
pub(super) struct Place {
    root: PathBuf,
    durability: Durability,
    syncs: Mutex<HashMap<PathBuf, Arc<SharedSync>>>,
    cannot_clone: AtomicBool,
}

impl Place {
    /// `root` is absolute.
    pub(super) fn new(root: PathBuf, durability: Durability) -> Self {
        Self {
            root,
            durability,
            syncs: Mutex::default(),
            cannot_clone: AtomicBool::new(false),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Whether it is worth trying to clone files into the layout.
    pub(super) fn may_clone(&self) -> bool {
        !self.cannot_clone.load(Ordering::Relaxed)
    }

    /// Says that the layout's file system cannot clone files.
    pub(super) fn forget_clones(&self) {
        self.cannot_clone.store(true, Ordering::Relaxed);
    }

    pub(super) fn lock_file(&self) -> PathBuf {
        self.root.join(PRIVATE).join("lock")
    }

    /// The path of a blob, if the directories above it are directories; `None` if they are missing.
    ///
    /// # Errors
    /// `Corrupt` if one of them is something else.
    pub(super) fn blob(&self, digest: &Digest) -> Result<Option<PathBuf>> {
        let mut path = self.root.join(BLOBS);
        if !is_directory(&path)? {
            return Ok(None);
        }
        path.push(digest.algorithm().as_str());
        if !is_directory(&path)? {
            return Ok(None);
        }
        path.push(digest.hex());
        Ok(Some(path))
    }

    /// The path of a blob, whose directory is created if need be.
    pub(super) fn blob_to_write(&self, digest: &Digest) -> Result<PathBuf> {
        if let Some(path) = self.blob(digest)? {
            return Ok(path);
        }
        let directory = self.root.join(BLOBS).join(digest.algorithm().as_str());
        self.create_directory(&directory)?;
        Ok(directory.join(digest.hex()))
    }

    /// The directory of temporary files, created if need be.
    pub(super) fn temporary(&self) -> Result<PathBuf> {
        self.private("tmp")
    }

    /// The directory of uploads, created if need be.
    pub(super) fn uploads(&self) -> Result<PathBuf> {
        self.private("uploads")
    }

    /// The directory of uploads, if there is one.
    pub(super) fn existing_uploads(&self) -> Result<Option<PathBuf>> {
        let private = self.root.join(PRIVATE);
        let uploads = private.join("uploads");
        Ok((is_directory(&private)? && is_directory(&uploads)?).then_some(uploads))
    }

    fn private(&self, name: &str) -> Result<PathBuf> {
        let private = self.root.join(PRIVATE);
        let directory = private.join(name);
        if !is_directory(&private)? || !is_directory(&directory)? {
            self.create_directory(&directory)?;
        }
        Ok(directory)
    }

    /// An empty file that is removed when it is dropped. `mode` is subject to the umask.
    pub(super) fn temporary_file(&self, mode: u32) -> Result<NamedTempFile> {
        let directory = self.temporary()?;
        with_mode(&mut Builder::new(), mode)
            .tempfile_in(&directory)
            .map_err(|error| failed("created", &directory, error))
    }

    /// Makes what was written to `file` durable, where that is asked for.
    pub(super) fn sync_file(&self, file: &File, path: &Path) -> Result<()> {
        match self.durability {
            Durability::Full => file
                .sync_all()
                .map_err(|error| failed("synced", path, error)),
            Durability::Relaxed => Ok(()),
        }
    }

    /// Makes the entries of `directory` durable, where that is asked for.
    pub(super) fn sync_directory(&self, directory: &Path) -> Result<()> {
        if self.durability == Durability::Relaxed {
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

    /// Gives a complete and verified temporary file its name, over whatever has it.
    pub(super) fn publish<F>(&self, file: NamedTempFile<F>, path: &Path) -> Result<()> {
        file.persist(path)
            .map_err(|error| failed("replaced", path, error.error))?;
        match path.parent() {
            Some(directory) => self.sync_directory(directory),
            None => Ok(()),
        }
    }

    /// Makes the directory a layout, if it is none. Everything is in place before the file that says
    /// so: a layout is never seen half made.
    pub(super) fn ensure_layout(&self) -> Result<()> {
        if stat_regular(&self.file(OCI_LAYOUT))?.is_some() {
            return Ok(());
        }
        let blobs = self.file(BLOBS);
        if !is_directory(&blobs)? {
            self.create_directory(&blobs)?;
        }
        self.create_file(INDEX, crate::index::EMPTY_INDEX)?;
        self.create_file(OCI_LAYOUT, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        self.sync_directory(&self.root)
    }

    fn create_file(&self, name: &str, content: &[u8]) -> Result<()> {
        use std::io::Write as _;

        let path = self.file(name);
        if stat_regular(&path)?.is_some() {
            return Ok(());
        }
        let mut file = self.temporary_file(0o666)?;
        file.write_all(content)
            .map_err(|error| failed("written", file.path(), error))?;
        self.sync_file(file.as_file(), file.path())?;
        match file.persist_noclobber(&path) {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(failed("created", &path, error.error)),
        }
    }

    /// Creates a directory and those above it.
    fn create_directory(&self, path: &Path) -> Result<()> {
        let mut missing = Vec::new();
        let mut next = Some(path);
        while let Some(directory) = next {
            // What is above the layout belongs to the user, who may link there.
            let exists = if directory.starts_with(&self.root) && directory != self.root {
                is_directory(directory)?
            } else {
                directory.is_dir()
            };
            if exists {
                break;
            }
            missing.push(directory);
            next = directory.parent();
        }
        for directory in missing.into_iter().rev() {
            match DirBuilder::new().create(directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(failed("created", directory, error));
                }
                _ => {}
            }
            if let (Durability::Full, Some(parent)) = (self.durability, directory.parent()) {
                match sync_directory(parent) {
                    // Whoever may create an entry need not be allowed to open the directory.
                    Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
                        return Err(failed("synced", parent, error));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
pub(super) fn with_mode<'a, 'b, 'c>(
    builder: &'a mut Builder<'b, 'c>,
    mode: u32,
) -> &'a mut Builder<'b, 'c> {
    use std::os::unix::fs::PermissionsExt as _;
    builder.permissions(std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
pub(super) fn with_mode<'a, 'b, 'c>(
    builder: &'a mut Builder<'b, 'c>,
    _: u32,
) -> &'a mut Builder<'b, 'c> {
    builder
}
