//! The paths of one layout's files, and its directories, which are created when they are needed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tranship::{Digest, Result};

use crate::driver::file::{failed, is_directory};
use crate::driver::{BLOBS, PRIVATE, disk};

const TEMPORARY: &str = "tmp";

/// The bits of [`Paths::seen`] that are not those of an algorithm's directory.
const SEEN_NO_SUSPECTS: u32 = 1 << 29;
const SEEN_TEMPORARY: u32 = 1 << 30;
const SEEN_LAYOUT: u32 = 1 << 31;

/// The bit of [`Paths::seen`] for the directory of the blob.
fn seen_algorithm(digest: &Digest) -> u32 {
    1 << (digest.algorithm() as u32)
}

/// The directory of one layout.
#[derive(Debug)]
pub(super) struct Paths {
    root: PathBuf,
    /// What a batch has seen and does not look at again: a bit for each directory. Without a batch every call looks, as
    /// another process may have replaced a directory by a link.
    seen: AtomicU32,
    /// Whether this is a batch.
    keeps_answers: bool,
}

impl Paths {
    /// `root` is absolute.
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            seen: AtomicU32::new(0),
            keeps_answers: false,
        }
    }

    /// Returns the same paths for a batch, which looks at each directory once.
    pub(super) fn for_batch(&self) -> Self {
        Self {
            keeps_answers: true,
            ..Self::new(self.root.clone())
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The file whose lock is the right to change the index. Its directory is created if need be,
    /// and nothing else: on a full disk that can be too much.
    pub(super) fn lock_file(&self) -> Result<PathBuf> {
        let private = self.root.join(PRIVATE);
        if !is_directory(&private)? {
            self.create_directory(&private)?;
        }
        Ok(self.private_file("lock"))
    }

    /// The path of a file of ours.
    pub(super) fn private_file(&self, name: &str) -> PathBuf {
        self.root.join(PRIVATE).join(name)
    }

    /// Returns whether no file is known whose sync has failed, as `look` tells. In a batch the answer is kept
    /// until a sync of the batch fails.
    pub(super) fn has_no_suspects(&self, look: impl FnOnce() -> bool) -> bool {
        if self.has_seen(SEEN_NO_SUSPECTS) {
            return true;
        }
        let are_none = look();
        if are_none {
            self.saw(SEEN_NO_SUSPECTS);
        }
        are_none
    }

    /// Drops that answer.
    pub(super) fn has_suspects(&self) {
        self.seen.fetch_and(!SEEN_NO_SUSPECTS, Ordering::Relaxed);
    }

    fn has_seen(&self, bit: u32) -> bool {
        self.keeps_answers && self.seen.load(Ordering::Relaxed) & bit != 0
    }

    fn saw(&self, bit: u32) {
        self.seen.fetch_or(bit, Ordering::Relaxed);
    }

    /// The path of a blob, if the directories above it are directories; `None` if they are missing.
    ///
    /// # Errors
    /// `Corrupt` if one of them is something else.
    pub(super) fn blob(&self, digest: &Digest) -> Result<Option<PathBuf>> {
        let directory = self.directory_of(digest);
        let bit = seen_algorithm(digest);
        if !self.has_seen(bit) {
            if !is_directory(&self.root.join(BLOBS))? || !is_directory(&directory)? {
                return Ok(None);
            }
            self.saw(bit);
        }
        Ok(Some(directory.join(digest.hex())))
    }

    /// The path of a blob, whatever the directories above it are.
    pub(super) fn unchecked_blob(&self, digest: &Digest) -> PathBuf {
        self.directory_of(digest).join(digest.hex())
    }

    /// The path of a blob, whose directory is created if need be.
    pub(super) fn blob_to_write(&self, digest: &Digest) -> Result<PathBuf> {
        if let Some(path) = self.blob(digest)? {
            return Ok(path);
        }
        let directory = self.directory_of(digest);
        self.create_directory(&directory)?;
        Ok(directory.join(digest.hex()))
    }

    fn directory_of(&self, digest: &Digest) -> PathBuf {
        let mut path = self.root.join(BLOBS);
        path.push(digest.algorithm().as_str());
        path
    }

    /// The directory of uploads, created if need be.
    pub(super) fn uploads(&self) -> Result<PathBuf> {
        self.private("uploads")
    }

    /// The directory of uploads, if there is one.
    pub(super) fn existing_uploads(&self) -> Result<Option<PathBuf>> {
        self.existing("uploads")
    }

    /// The directory of temporary files, if there is one.
    pub(super) fn existing_temporary(&self) -> Result<Option<PathBuf>> {
        self.existing("tmp")
    }

    fn existing(&self, name: &str) -> Result<Option<PathBuf>> {
        existing_below(&self.root, name)
    }

    /// A directory of ours, created if need be.
    pub(super) fn private(&self, name: &str) -> Result<PathBuf> {
        let private = self.root.join(PRIVATE);
        let directory = private.join(name);
        if !is_directory(&private)? || !is_directory(&directory)? {
            self.create_directory(&directory)?;
        }
        Ok(directory)
    }

    /// Creates a directory and those above it. `Commit::secure_directory` makes their names
    /// durable.
    pub(super) fn create_directory(&self, path: &Path) -> Result<()> {
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
            match disk::create_directory(directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(failed("created", directory, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns the directory of temporary files, which is created if need be.
    pub(super) fn temporary(&self) -> Result<PathBuf> {
        if self.has_seen(SEEN_TEMPORARY) {
            return Ok(self.root.join(PRIVATE).join(TEMPORARY));
        }
        let directory = self.private(TEMPORARY)?;
        self.saw(SEEN_TEMPORARY);
        Ok(directory)
    }

    /// Returns whether the directory is known to be a layout.
    pub(super) fn is_known_layout(&self) -> bool {
        self.has_seen(SEEN_LAYOUT)
    }

    /// Notes that the directory is a layout.
    pub(super) fn saw_layout(&self) {
        self.saw(SEEN_LAYOUT);
    }
}

/// Returns the directory of uploads of the layout at `root`, if there is one.
pub(super) fn uploads_below(root: &Path) -> Result<Option<PathBuf>> {
    existing_below(root, "uploads")
}

fn existing_below(root: &Path, name: &str) -> Result<Option<PathBuf>> {
    let private = root.join(PRIVATE);
    let directory = private.join(name);
    Ok((is_directory(&private)? && is_directory(&directory)?).then_some(directory))
}
