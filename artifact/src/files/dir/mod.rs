//! An open directory, below which no symbolic link is followed.

#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(not(unix), path = "portable.rs")]
mod system;

use std::io;
use std::path::Path;

pub(super) use system::Dir;

/// What has a name in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Link,
    /// A device, a socket or a pipe.
    Special,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Directory => "a directory",
            Self::Link => "a symbolic link",
            Self::Special => "a device, socket or pipe",
        }
    }
}

/// The metadata of what has a name in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// In bytes.
    pub(super) size: u64,
    /// The permission bits.
    pub(super) mode: u32,
}

impl Dir {
    /// Opens the directory that `names` lead to, one after the other.
    pub(super) fn descend(&self, names: &[String]) -> io::Result<Self> {
        let mut directory = self.reopen()?;
        for name in names {
            directory = directory.subdirectory(name)?;
        }
        Ok(directory)
    }

    /// As [`descend`](Self::descend), and makes the directories that do not exist.
    pub(super) fn descend_or_make(&self, names: &[String]) -> io::Result<Self> {
        let mut directory = self.reopen()?;
        for name in names {
            match directory.make_directory(name, 0o777) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => directory = directory.subdirectory(name)?,
            }
        }
        Ok(directory)
    }

    /// Removes what has the name `name`, with all that is in it. Errors are ignored: what cannot be removed stays.
    pub(super) fn remove_all(&self, name: &str) {
        match self.entry(name) {
            Ok(Some(entry)) if entry.kind == Kind::Directory => {
                if let Ok(directory) = self.subdirectory(name) {
                    for inner in directory.names().unwrap_or_default() {
                        directory.remove_all(&inner);
                    }
                }
                let _ = self.remove_directory(name);
            }
            Ok(Some(_)) => {
                let _ = self.remove_file(name);
            }
            _ => {}
        }
    }
}

/// The error for a directory that is something else, such as a symbolic link.
fn not_a_directory() -> io::Error {
    io::Error::new(
        io::ErrorKind::NotADirectory,
        "is not a directory, and links are not followed here",
    )
}

/// Opens a directory that the caller names, through symbolic links.
pub(super) fn open(path: &Path) -> io::Result<Dir> {
    Dir::open(path)
}
