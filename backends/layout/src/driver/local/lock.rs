//! The right to change `index.json`: a lock on a file of ours.
//!
//! The file also holds a note of the state in which `index.json` was durable with everything that it leads
//! to, so that the next process need not sync all of that again. The note is written afterwards. A power cut
//! may lose it, but cannot make it wrong.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tranship::{Error, ErrorKind, Result};

use super::paths::Paths;
use crate::driver::file::{failed, open_no_follow};
use crate::driver::position::{read_at, write_all_at};
use crate::driver::stamp::Stamp;

/// More than any note has, in bytes.
const MAX_NOTE: usize = 256;

/// The lock, until it is dropped. The system takes it back from a process that dies.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Waits for the right to change `index.json`.
    ///
    /// # Errors
    /// `Unsupported` if the file system cannot lock files.
    pub(super) fn take(paths: &Paths) -> Result<Self> {
        let path = paths.lock_file()?;
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let opened = match open_no_follow(&mut options, &path) {
            // Created by another user; a lock needs no more than an open file.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                open_no_follow(File::options().read(true), &path)?
            }
            opened => opened?,
        };
        let file = opened.ok_or_else(|| Error::not_found(path.display()))?;
        file.lock().map_err(|error| not_locked(&path, error))?;
        Ok(Self(file))
    }

    /// Notes that `index.json` is durable in the state `stamp`, with everything that it leads to. If the note
    /// cannot be written, as on a full disk, the next process syncs once more.
    pub(super) fn note(&self, stamp: &Stamp) {
        let note = stamp.note();
        if note.is_empty() || read_note(&self.0).as_deref() == Some(note.as_bytes()) {
            return;
        }
        let _ = write_all_at(&self.0, note.as_bytes(), 0)
            .and_then(|()| self.0.set_len(note.len() as u64));
    }
}

/// Returns the error for a file that cannot be locked.
pub(super) fn not_locked(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::Unsupported => Error::unsupported("the file system cannot lock files")
            .with_subject(path.display())
            .with_source(error),
        _ => failed("locked", path, error),
    }
}

/// Returns whether there is a note that `index.json` is durable in the state `stamp`.
pub(super) fn is_noted(paths: &Paths, stamp: &Stamp) -> bool {
    let path: PathBuf = paths.private_file("lock");
    let Ok(Some(file)) = open_no_follow(File::options().read(true), &path) else {
        return false;
    };
    let note = stamp.note();
    !note.is_empty() && read_note(&file).as_deref() == Some(note.as_bytes())
}

fn read_note(file: &File) -> Option<Vec<u8>> {
    let mut note = vec![0; MAX_NOTE];
    let length = read_at(file, &mut note, 0).ok()?;
    note.truncate(length);
    Some(note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_about_one_state_of_the_index() {
        let root = tempfile::tempdir().expect("a directory");
        let paths = || Paths::new(root.path().to_owned());
        let state = |content: &str| {
            let path = root.path().join("index.json");
            std::fs::write(&path, content).expect("written");
            Stamp::of(&path.metadata().expect("there"))
        };
        let first = state("first");
        assert!(!is_noted(&paths(), &first));
        Lock::take(&paths()).expect("locked").note(&first);
        assert!(is_noted(&paths(), &first));
        let longer = state("a longer one");
        assert!(!is_noted(&paths(), &longer));
        Lock::take(&paths()).expect("locked").note(&longer);
        assert!(is_noted(&paths(), &longer));
        assert!(!is_noted(&paths(), &first));
    }
}
