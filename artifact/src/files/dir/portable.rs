//! Directories by their paths, for systems without calls that take an open directory.
//!
//! Each name is checked before it is used. Another process that replaces a directory by a link between the two is not
//! noticed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{Entry, Kind, not_a_directory};

#[derive(Debug)]
pub(in super::super) struct Dir(PathBuf);

impl Dir {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        fs::canonicalize(path).map(Self)
    }

    pub(in super::super) fn reopen(&self) -> io::Result<Self> {
        Ok(Self(self.0.clone()))
    }

    pub(in super::super) fn subdirectory(&self, name: &str) -> io::Result<Self> {
        match self.entry(name)? {
            Some(entry) if entry.kind == Kind::Directory => Ok(Self(self.0.join(name))),
            Some(_) => Err(not_a_directory()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(in super::super) fn make_directory(&self, name: &str, _mode: u32) -> io::Result<()> {
        fs::create_dir(self.0.join(name))
    }

    pub(in super::super) fn entry(&self, name: &str) -> io::Result<Option<Entry>> {
        let metadata = match fs::symlink_metadata(self.0.join(name)) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let kind = match metadata.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Directory,
            kind if kind.is_symlink() => Kind::Link,
            _ => Kind::Special,
        };
        Ok(Some(Entry {
            kind,
            size: metadata.len(),
            mode: 0o644,
        }))
    }

    pub(in super::super) fn open_file(&self, name: &str) -> io::Result<File> {
        match self.entry(name)? {
            Some(entry) if entry.kind == Kind::File => File::open(self.0.join(name)),
            Some(_) => Err(io::Error::other("is not a file")),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(in super::super) fn create_file(&self, name: &str, _mode: u32) -> io::Result<File> {
        File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(self.0.join(name))
    }

    pub(in super::super) fn make_link(&self, _name: &str, _target: &str) -> io::Result<()> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "symbolic links are not created on this system",
        ))
    }

    pub(in super::super) fn read_link(&self, name: &str) -> io::Result<Vec<u8>> {
        let target = fs::read_link(self.0.join(name))?;
        Ok(target.to_string_lossy().into_owned().into_bytes())
    }

    pub(in super::super) fn make_hard_link(
        &self,
        name: &str,
        old: &Self,
        old_name: &str,
    ) -> io::Result<()> {
        fs::hard_link(old.0.join(old_name), self.0.join(name))
    }

    pub(in super::super) fn rename(
        &self,
        name: &str,
        new: &Self,
        new_name: &str,
        replace: bool,
    ) -> io::Result<()> {
        if !replace && new.entry(new_name)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        fs::rename(self.0.join(name), new.0.join(new_name))
    }

    pub(in super::super) fn remove_file(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    pub(in super::super) fn remove_directory(&self, name: &str) -> io::Result<()> {
        fs::remove_dir(self.0.join(name))
    }

    pub(in super::super) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }
}
