//! Remembers the files that could not be synced, for later processes, too.
//!
//! After a failed sync the system may take the content for written. Then every later sync of the same file
//! succeeds, and the content is lost with the next power cut all the same. So a file whose sync has failed is
//! noted here and replaced by a copy, or copied where it would be linked, by this process or a later one.

use std::fs::File;
use std::path::PathBuf;

use tranship::Digest;

use super::paths::Paths;
use crate::driver::disk;

/// The directory of the notes, which exists only if a sync has failed.
const DIRECTORY: &str = "unsynced";

/// The note that a sync of the whole file system has failed. It is never removed.
pub(super) const FILE_SYSTEM: &str = "file-system";

impl Paths {
    /// Notes that the sync of `name` has failed. If that cannot be written either, it is not noted.
    pub(super) fn suspect(&self, name: &str) {
        self.has_suspects();
        if let Ok(directory) = self.private(DIRECTORY) {
            let note = directory.join(name);
            let _ = disk::naming(&note, || File::create(&note));
        }
    }

    /// Returns whether a sync of `name` has failed before.
    pub(super) fn is_suspect(&self, name: &str) -> bool {
        std::fs::symlink_metadata(self.note_of(name)).is_ok()
    }

    /// As [`is_suspect`](Self::is_suspect), for a file that could be linked as the blob `digest`. In a batch the
    /// answer that the directory does not exist is kept.
    pub(super) fn is_suspect_link(&self, digest: &Digest) -> bool {
        let are_none = || std::fs::symlink_metadata(self.private_file(DIRECTORY)).is_err();
        !self.has_no_suspects(are_none) && self.is_suspect(&name_of(digest))
    }

    /// Removes the note for `name`, which is another file now.
    pub(super) fn trust(&self, name: &str) {
        let _ = std::fs::remove_file(self.note_of(name));
    }

    /// Returns the blobs whose sync has failed.
    pub(super) fn suspects(&self) -> Vec<Digest> {
        let Ok(notes) = std::fs::read_dir(self.private_file(DIRECTORY)) else {
            return Vec::new();
        };
        let names = notes.filter_map(|note| note.ok()?.file_name().into_string().ok());
        names
            .filter_map(|name| name.replacen('-', ":", 1).parse().ok())
            .collect()
    }

    fn note_of(&self, name: &str) -> PathBuf {
        self.private_file(DIRECTORY).join(name)
    }
}

/// Returns the name of a file that is about a blob, such as its note.
pub(super) fn name_of(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm(), digest.hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_sync_is_known_to_later_processes() {
        let root = tempfile::tempdir().expect("a directory");
        let paths = || Paths::new(root.path().to_owned());
        let digest = Digest::of(b"lost");
        assert!(!paths().is_suspect(&name_of(&digest)));
        assert_eq!(paths().suspects(), []);
        paths().suspect(&name_of(&digest));
        paths().suspect("index.json");
        assert!(paths().is_suspect(&name_of(&digest)));
        assert_eq!(paths().suspects(), [digest]);
        paths().trust(&name_of(&digest));
        assert!(!paths().is_suspect(&name_of(&digest)));
        assert!(paths().is_suspect("index.json"));
    }
}
