//! The calls that decide what survives a power cut, in one place.
//!
//! Drivers change names and sync through these functions and not through `std::fs`, so that a test can
//! record what reaches the disk and make a sync fail (`crate::power_cut`).

use std::fs::{DirBuilder, File};
use std::io;
use std::path::Path;

use tempfile::{NamedTempFile, PathPersistError, PersistError, TempPath};

/// What a call makes durable.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Synced<'a> {
    /// The content of a file.
    #[cfg_attr(
        not(all(test, unix)),
        expect(dead_code, reason = "only a recorder looks at the file")
    )]
    File(&'a File),
    /// The names in a directory.
    Directory,
    /// Everything in a file system.
    FileSystem,
}

/// Runs `call`, which changes the name `path`. In a test that records, the recorder runs it.
#[cfg(not(all(test, unix)))]
pub(super) fn naming<T>(_: &Path, call: impl FnOnce() -> T) -> T {
    call()
}

/// Runs `call`, which syncs the file or directory `path`. In a test that records, the recorder returns an
/// outcome instead.
#[cfg(not(all(test, unix)))]
fn syncing(_: &Path, _: Synced<'_>, call: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    call()
}

#[cfg(all(test, unix))]
pub(super) use crate::power_cut::naming;
#[cfg(all(test, unix))]
use crate::power_cut::syncing;

/// Makes the content of `file`, which has the name `path`, durable.
pub(super) fn sync_file(file: &File, path: &Path) -> io::Result<()> {
    syncing(path, Synced::File(file), || file.sync_all())
}

/// Makes the names in a directory durable.
#[cfg(unix)]
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    syncing(directory, Synced::Directory, || {
        match File::open(directory)?.sync_all() {
            // Some network and user-space file systems have no such call.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            outcome => outcome,
        }
    })
}

// Elsewhere a directory cannot be opened as a file, and file systems order such changes themselves.
#[cfg(not(unix))]
pub(super) fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Returns whether [`sync_file_system`] reports failed writes, and means the disk when it succeeds.
///
/// Linux reports failed writes from 5.8 on. It does not tell a file system in user space to sync at all, and
/// a network file system may keep the content in a cache.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn can_sync_file_system(file: &File) -> bool {
    use std::sync::OnceLock;

    static REPORTS_ERRORS: OnceLock<bool> = OnceLock::new();
    let reports_errors = REPORTS_ERRORS.get_or_init(|| {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease");
        release.is_ok_and(|release| is_at_least_5_8(&release))
    });
    *reports_errors && rustix::fs::fstatfs(file).is_ok_and(|found| is_local(found.f_type as u64))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_at_least_5_8(release: &str) -> bool {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    let mut next = || numbers.next()?.parse::<u32>().ok();
    matches!((next(), next()), (Some(major), Some(minor)) if (major, minor) >= (5, 8))
}

/// Whether the file system of this type (`statfs(2)`) writes to a disk, or to memory, of this machine.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_local(kind: u64) -> bool {
    const BCACHEFS: u64 = 0xca45_1a4e;
    const BTRFS: u64 = 0x9123_683e;
    const EXT: u64 = 0xef53;
    const F2FS: u64 = 0xf2f5_2010;
    const OVERLAY: u64 = 0x794c_7630;
    const TMPFS: u64 = 0x0102_1994;
    const XFS: u64 = 0x5846_5342;
    const ZFS: u64 = 0x2fc1_2fc1;
    matches!(
        kind & 0xffff_ffff,
        BCACHEFS | BTRFS | EXT | F2FS | OVERLAY | TMPFS | XFS | ZFS
    )
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn can_sync_file_system(_: &File) -> bool {
    false
}

/// Makes everything durable that was written to the file system of `file`, which has the name `path`.
///
/// # Errors
/// If a write has failed since `file` was opened.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn sync_file_system(file: &File, path: &Path) -> io::Result<()> {
    syncing(path, Synced::FileSystem, || {
        rustix::fs::syncfs(file).map_err(io::Error::from)
    })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn sync_file_system(_: &File, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Creates a directory.
pub(super) fn create_directory(path: &Path) -> io::Result<()> {
    naming(path, || DirBuilder::new().create(path))
}

/// Gives a temporary file the name `path`, over whatever has it.
pub(super) fn persist<F>(
    file: NamedTempFile<F>,
    path: &Path,
) -> std::result::Result<F, PersistError<F>> {
    naming(path, || file.persist(path))
}

/// Gives a temporary file the name `path`, if nothing has it.
pub(super) fn persist_noclobber(
    file: NamedTempFile,
    path: &Path,
) -> std::result::Result<File, PersistError> {
    naming(path, || file.persist_noclobber(path))
}

/// Gives a temporary file, which nothing has open, the name `path`, over whatever has it.
pub(super) fn persist_path(
    file: TempPath,
    path: &Path,
) -> std::result::Result<(), PathPersistError> {
    naming(path, || file.persist(path))
}

/// As [`persist_path`], for a file that may have the name `path` already.
pub(super) fn persist_link(
    file: TempPath,
    path: &Path,
) -> std::result::Result<(), PathPersistError> {
    let file = match naming(path, || rename_to_free(&file, path)) {
        Ok(()) => {
            // There is nothing left to remove.
            let _ = file.keep();
            return Ok(());
        }
        Err(_) => file,
    };
    let old = file.to_path_buf();
    persist_path(file, path)?;
    // `rename(2)` keeps both names if they are those of one file.
    let _ = std::fs::remove_file(old);
    Ok(())
}

/// Gives the file `old` the name `new`, if nothing has it.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn rename_to_free(old: &Path, new: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};

    renameat_with(CWD, old, CWD, new, RenameFlags::NOREPLACE).map_err(io::Error::from)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn rename_to_free(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Removes the file at `path`.
pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    naming(path, || std::fs::remove_file(path))
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;

    #[test]
    fn kernels_that_hide_failed_writes_are_not_trusted() {
        for release in ["5.8.0", "5.15.0-91-generic", "6.1.0+", "10.0"] {
            assert!(is_at_least_5_8(release), "{release}");
        }
        for release in ["5.7.19", "4.18.0-553.el8.x86_64", "3.10", "", "linux"] {
            assert!(!is_at_least_5_8(release), "{release}");
        }
    }

    #[test]
    fn only_file_systems_of_this_machine_are_trusted() {
        let (ext4, tmpfs) = (0xef53, 0x0102_1994);
        assert!(is_local(ext4) && is_local(tmpfs));
        let (fuse, nfs, smb, plan_9) = (0x6573_5546, 0x6969, 0xff53_4d42, 0x0102_1997);
        assert!(![fuse, nfs, smb, plan_9].into_iter().any(is_local));
    }
}
