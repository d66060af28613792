//! Looks at files without following symbolic links.
//!
//! A layout may come from anywhere, such as an archive that was unpacked. A link in it could make a
//! reader hand out, or a writer change, files that are not part of the layout; what is no regular
//! file could block or never end. No tool writes either into a layout.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::Builder;
use tranship::{Error, ErrorKind, Result};

use super::position::read_at;

/// How much is read at a time, in bytes: what stays in a core's cache until it is hashed.
pub(crate) const PIECE: usize = 64 * 1024;

/// What lies at `path`, if it is a regular file; `None` if nothing does.
///
/// # Errors
/// `Corrupt` if it is something else.
pub(crate) fn stat_regular(path: &Path) -> Result<Option<Metadata>> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata)),
        Ok(metadata) => Err(not_regular(path, metadata.is_symlink())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("inspected", path, error)),
    }
}

/// Opens the regular file at `path` for reading; `None` if nothing lies there.
///
/// # Errors
/// `Corrupt` if it is something else.
pub(crate) fn open_regular(path: &Path) -> Result<Option<(File, Metadata)>> {
    let opened = open_no_follow(File::options().read(true), path)?;
    let Some(file) = opened else {
        return Ok(None);
    };
    let metadata = file
        .metadata()
        .map_err(|error| failed("inspected", path, error))?;
    if !metadata.is_file() {
        return Err(not_regular(path, false));
    }
    Ok(Some((file, metadata)))
}

/// Opens `path` with `options`, unless it is a symbolic link; `None` if nothing lies there.
#[cfg(unix)]
pub(crate) fn open_no_follow(
    options: &mut std::fs::OpenOptions,
    path: &Path,
) -> Result<Option<File>> {
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::fs::OFlags;
    use rustix::io::Errno;

    // Opening a named pipe would wait for somebody to write.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    match options.custom_flags(flags.bits().cast_signed()).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            Err(not_regular(path, true))
        }
        Err(error) => Err(failed("opened", path, error)),
    }
}

#[cfg(not(unix))]
pub(crate) fn open_no_follow(
    options: &mut std::fs::OpenOptions,
    path: &Path,
) -> Result<Option<File>> {
    if std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
        return Err(not_regular(path, true));
    }
    match options.open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("opened", path, error)),
    }
}

/// What to do about links in a layout.
const FOLLOW: &str = "build tools such as Bazel make such layouts: copy the files with `cp -rL`, or follow the links \
                      with --follow-links DIR, where DIR holds what they lead to";

/// Whether there is a directory at `path`.
///
/// # Errors
/// `Corrupt` if something else lies there, be it a link to a directory.
pub(crate) fn is_directory(path: &Path) -> Result<bool> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(true),
        Ok(metadata) => {
            let what = if metadata.is_symlink() {
                "is a symbolic link, which is not followed"
            } else {
                "is not a directory"
            };
            let error = Error::new(ErrorKind::Corrupt, what).with_subject(path.display());
            if metadata.is_symlink() {
                Err(error.with_hint(FOLLOW))
            } else {
                Err(error)
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("inspected", path, error)),
    }
}

/// What tells one file from every other that exists at the same time.
#[cfg(unix)]
pub(crate) fn identity(metadata: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
pub(crate) fn identity(_: &Metadata) -> Option<(u64, u64)> {
    None
}

/// When the file's content or anything else about it changed last, in nanoseconds.
#[cfg(unix)]
pub(crate) fn changed(metadata: &Metadata) -> (i64, i64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
pub(crate) fn changed(_: &Metadata) -> (i64, i64) {
    (0, 0)
}

/// How long ago the file last changed, be it only its name; zero if that is said to be in the future.
pub(crate) fn age(metadata: &Metadata) -> Duration {
    let modified = metadata.modified().unwrap_or(SystemTime::now());
    let (seconds, nanoseconds) = changed(metadata);
    let since_epoch = Duration::new(
        u64::try_from(seconds).unwrap_or_default(),
        u32::try_from(nanoseconds).unwrap_or_default(),
    );
    let latest = SystemTime::UNIX_EPOCH
        .checked_add(since_epoch)
        .map_or(modified, |changed| changed.max(modified));
    SystemTime::now().duration_since(latest).unwrap_or_default()
}

/// Whether the file has other names, of which one may be in another layout.
#[cfg(unix)]
pub(crate) fn is_shared(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    metadata.nlink() > 1
}

#[cfg(not(unix))]
pub(crate) fn is_shared(_: &Metadata) -> bool {
    false
}

/// Refuses what is too large before it is read.
///
/// # Errors
/// `SizeExceedsLimit`.
pub(crate) fn check_limit(size: u64, limit: u64) -> Result<()> {
    if size <= limit {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::SizeExceedsLimit,
        format!("is {size} bytes, more than the limit of {limit}"),
    ))
}

/// Calls `take` with the bytes of `file` piece by piece, from its start to its end, wherever its cursor is. The file has
/// the path `path`, and `size` bytes as far as is known.
pub(crate) fn read_pieces(
    file: &File,
    path: &Path,
    size: u64,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    // One byte more, so that a small file is read, and its end seen, by two calls.
    let piece = usize::try_from(size.saturating_add(1)).map_or(PIECE, |size| size.min(PIECE));
    let mut buffer = vec![0; piece];
    let mut position = 0;
    loop {
        match read_at(file, &mut buffer, position) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                take(&buffer[..length])?;
                position += length as u64;
            }
            Err(error) => return Err(failed("read", path, error)),
        }
    }
}

/// Sets the mode of the files that `builder` creates, which is subject to the umask.
#[cfg(unix)]
pub(crate) fn with_mode<'a, 'b, 'c>(
    builder: &'a mut Builder<'b, 'c>,
    mode: u32,
) -> &'a mut Builder<'b, 'c> {
    use std::os::unix::fs::PermissionsExt as _;
    builder.permissions(std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
pub(crate) fn with_mode<'a, 'b, 'c>(
    builder: &'a mut Builder<'b, 'c>,
    _: u32,
) -> &'a mut Builder<'b, 'c> {
    builder
}

pub(crate) fn failed(done: &str, path: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => Some("check who owns the layout and its directories"),
        io::ErrorKind::ReadOnlyFilesystem => Some("the file system is mounted read-only"),
        io::ErrorKind::StorageFull => Some("free some space, and run it again"),
        io::ErrorKind::QuotaExceeded => {
            Some("the quota is used up; free some of it, and run it again")
        }
        _ => None,
    };
    let error = Error::io(format!("cannot be {done}"), without_path(error));
    let error = error.with_subject(path.display());
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// The error without the path that `tempfile` adds in the notation of Rust. The subject names it.
fn without_path(error: io::Error) -> io::Error {
    let text = error.to_string();
    match text.split_once(" at path \"") {
        Some((text, _)) => io::Error::new(error.kind(), text),
        None => error,
    }
}

/// A file of ours cannot be given its name. That it is gone says that somebody cleans up too early.
pub(crate) fn not_named(path: &Path, error: io::Error) -> Error {
    if error.kind() != io::ErrorKind::NotFound {
        return failed("replaced", path, error);
    }
    vanished_file(path).with_source(error)
}

/// That a temporary file of ours is gone.
pub(crate) fn vanished_file(path: &Path) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "somebody removed the temporary file while it was in use",
    )
    .with_subject(path.display())
    .with_retryable(true)
    .with_hint("give garbage collection a longer grace period, and try again")
}

fn not_regular(path: &Path, symlink: bool) -> Error {
    if !symlink {
        return Error::new(ErrorKind::Corrupt, "is not a regular file")
            .with_subject(path.display());
    }
    Error::new(
        ErrorKind::Corrupt,
        "is a symbolic link, which is not followed",
    )
    .with_subject(path.display())
    .with_hint(FOLLOW)
}
