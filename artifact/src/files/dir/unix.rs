//! Directories as Unix has them: every call names an open directory and one name in it.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawMode};
use rustix::io::Errno;

use super::{Entry, Kind, not_a_directory};

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

#[derive(Debug)]
pub(in super::super) struct Dir(OwnedFd);

impl Dir {
    /// Opens `path`, through symbolic links.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(fs::open(path, DIRECTORY, Mode::empty())?))
    }

    pub(in super::super) fn reopen(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// Opens the directory `name`. A symbolic link is an error.
    pub(in super::super) fn subdirectory(&self, name: &str) -> io::Result<Self> {
        match fs::openat(
            &self.0,
            name,
            DIRECTORY.union(OFlags::NOFOLLOW),
            Mode::empty(),
        ) {
            Ok(directory) => Ok(Self(directory)),
            Err(Errno::LOOP | Errno::NOTDIR | Errno::MLINK) => Err(not_a_directory()),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates the directory `name`. The mask of the process takes permissions away.
    pub(in super::super) fn make_directory(&self, name: &str, mode: u32) -> io::Result<()> {
        Ok(fs::mkdirat(&self.0, name, to_mode(mode))?)
    }

    /// Returns what has the name `name`, without following it.
    pub(in super::super) fn entry(&self, name: &str) -> io::Result<Option<Entry>> {
        let found = match fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let kind = match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Link,
            _ => Kind::Special,
        };
        // Modes have 16 bits on some systems.
        #[allow(clippy::useless_conversion)]
        let mode = u32::from(Mode::from_raw_mode(found.st_mode).bits());
        Ok(Some(Entry {
            kind,
            size: u64::try_from(found.st_size).unwrap_or(0),
            mode: mode & 0o777,
        }))
    }

    /// Opens the file `name` for reading. A symbolic link is an error, and a pipe does not block.
    pub(in super::super) fn open_file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(fs::openat(&self.0, name, flags, Mode::empty())?))
    }

    /// Creates the file `name`, which must not exist. The mask of the process takes permissions away.
    pub(in super::super) fn create_file(&self, name: &str, mode: u32) -> io::Result<File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(fs::openat(&self.0, name, flags, to_mode(mode))?))
    }

    pub(in super::super) fn make_link(&self, name: &str, target: &str) -> io::Result<()> {
        Ok(fs::symlinkat(target, &self.0, name)?)
    }

    pub(in super::super) fn read_link(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(fs::readlinkat(&self.0, name, Vec::new())?.into_bytes())
    }

    /// Gives the file `old_name` in `old` another name here. A symbolic link is not followed.
    pub(in super::super) fn make_hard_link(
        &self,
        name: &str,
        old: &Self,
        old_name: &str,
    ) -> io::Result<()> {
        Ok(fs::linkat(
            &old.0,
            old_name,
            &self.0,
            name,
            AtFlags::empty(),
        )?)
    }

    /// Moves `name` to `new_name` in `new`. What has that name is replaced only if `replace` says so.
    pub(in super::super) fn rename(
        &self,
        name: &str,
        new: &Self,
        new_name: &str,
        replace: bool,
    ) -> io::Result<()> {
        if !replace {
            #[cfg(target_os = "linux")]
            match fs::renameat_with(&self.0, name, &new.0, new_name, fs::RenameFlags::NOREPLACE) {
                // Not every file system can.
                Err(Errno::INVAL | Errno::NOSYS) => {}
                outcome => return Ok(outcome?),
            }
            if new.entry(new_name)?.is_some() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
        }
        Ok(fs::renameat(&self.0, name, &new.0, new_name)?)
    }

    pub(in super::super) fn remove_file(&self, name: &str) -> io::Result<()> {
        Ok(fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    pub(in super::super) fn remove_directory(&self, name: &str) -> io::Result<()> {
        Ok(fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// Returns the names in the directory that are UTF-8, in byte order.
    pub(in super::super) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.0)? {
            match entry?.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

fn to_mode(mode: u32) -> Mode {
    Mode::from_raw_mode((mode & 0o777) as RawMode)
}
