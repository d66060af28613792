//! Small files that several processes change, and that only their owner reads: credentials, and accounts of a server.
//! All of this blocks; see [`blocking`](crate::blocking).

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};

/// The largest file that is read, in bytes. Such files are far smaller.
const MAX_SIZE: u64 = 16 * 1024 * 1024;

/// How long to wait for the lock. Other processes hold it for as long as it takes to write a small file.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns the content of the file at `path`, or `None` if it does not exist.
///
/// # Errors
/// - The error of reading it.
/// - [`SizeExceedsLimit`](ErrorKind::SizeExceedsLimit) if it has more than 16 MiB.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        // A file where the path has a directory means the same.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(Error::io("the file cannot be opened", error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_SIZE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("the file cannot be read", error))?;
    if bytes.len() as u64 > MAX_SIZE {
        let message = format!("the file has more than {MAX_SIZE} bytes");
        return Err(Error::new(ErrorKind::SizeExceedsLimit, message));
    }
    Ok(Some(bytes))
}

/// Changes the file at `path`: `change` gets its content, or `None` if it does not exist, and returns the new content,
/// or `None` to leave it unchanged. Returns whether it was changed.
///
/// The file is created if it does not exist, and only this user can read it. An existing file keeps its mode and its
/// owner. Concurrent readers see the file of before or after; another process that changes it by this function waits.
/// The change is durable when this returns.
///
/// # Errors
/// - The error of reading or writing the file, or that of `change`. The file is not changed in that case.
/// - [`Conflict`](ErrorKind::Conflict) if another process has it locked for ten seconds.
pub fn change(
    path: &Path,
    change: impl FnOnce(Option<Vec<u8>>) -> Result<Option<Vec<u8>>>,
) -> Result<bool> {
    let path = follow_links(path);
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_directory(directory)?;
    let _lock = lock(&path)?;
    let Some(bytes) = change(read(&path)?)? else {
        return Ok(false);
    };
    // Such a file is created with mode 0600.
    let mut file = tempfile::Builder::new()
        .prefix(".tranship-")
        .tempfile_in(directory)
        .map_err(|error| Error::io("a temporary file cannot be created beside it", error))?;
    file.write_all(&bytes)
        .and_then(|()| keep_owner_and_mode(&path, file.as_file()))
        .and_then(|()| file.as_file().sync_all())
        .map_err(|error| Error::io("the file cannot be written", error))?;
    file.persist(&path)
        .map_err(|error| error.error)
        .and_then(|_| sync_directory(directory))
        .map_err(|error| Error::io("the file cannot be replaced", error))?;
    Ok(true)
}

/// Makes the names in a directory durable. Other systems than Unix do not open directories.
#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Returns the file that a symbolic link leads to, which is changed in its place, or created.
fn follow_links(path: &Path) -> PathBuf {
    /// As many as Linux follows.
    const MAX_LINKS: usize = 40;
    if let Ok(real) = fs::canonicalize(path) {
        return real;
    }
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => break,
        }
    }
    path
}

/// Gives `file` the mode and the owner of the file at `path`, if that exists. Only root can set the owner of a file: any
/// other user becomes the owner.
#[cfg(unix)]
fn keep_owner_and_mode(path: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};

    let Ok(old) = fs::metadata(path) else {
        return Ok(());
    };
    let new = file.metadata()?;
    if (old.uid(), old.gid()) != (new.uid(), new.gid())
        && fchown(file, Some(old.uid()), Some(old.gid())).is_err()
    {
        // The group alone, which any member may set.
        let _ = fchown(file, None, Some(old.gid()));
    }
    file.set_permissions(old.permissions())
}

#[cfg(not(unix))]
fn keep_owner_and_mode(_: &Path, _: &File) -> io::Result<()> {
    Ok(())
}

fn create_directory(directory: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder
        .create(directory)
        .map_err(|error| Error::io("its directory cannot be created", error))
}

/// Locks the file at `path` until the result is dropped. What is locked is a file beside it, since the file itself is
/// replaced.
fn lock(path: &Path) -> Result<File> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let path: PathBuf = path.with_file_name(name);
    let mut options = File::options();
    options.create(true).write(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let failed = |error| Error::io("the file cannot be locked", error);
    let file = options.open(&path).map_err(failed)?;
    let begin = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            // The file system has no locks; Docker does not lock the file on any.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                return Ok(file);
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) if begin.elapsed() < LOCK_TIMEOUT => {
                sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => {
                let message = "another process has it locked";
                return Err(Error::new(ErrorKind::Conflict, message));
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

    use super::*;

    fn touch(path: &Path) {
        assert!(change(path, |_| Ok(Some(Vec::new()))).expect("written"));
    }

    #[test]
    fn a_file_keeps_its_mode_and_its_owner() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("config.json");
        touch(&path);
        let mode = |path: &Path| fs::metadata(path).expect("a file").mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        for wanted in [0o644, 0o640] {
            fs::set_permissions(&path, fs::Permissions::from_mode(wanted)).expect("ours");
            touch(&path);
            assert_eq!(mode(&path), wanted);
        }
        // Only root can change the owner of a file.
        if chown(&path, Some(1234), Some(5678)).is_ok() {
            touch(&path);
            let metadata = fs::metadata(&path).expect("a file");
            assert_eq!((metadata.uid(), metadata.gid()), (1234, 5678));
        }
    }

    #[test]
    fn a_link_stays_a_link_whether_its_target_exists_or_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let (link, target) = (
            directory.path().join("config.json"),
            directory.path().join("dotfiles/docker.json"),
        );
        symlink("dotfiles/docker.json", &link).expect("linked");
        for _ in 0..2 {
            touch(&link);
            assert!(link.is_symlink());
            assert!(target.is_file());
        }
    }

    #[test]
    fn a_failed_change_leaves_the_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        assert_eq!(read(&path).expect("no file"), None);
        assert!(change(&path, |_| Ok(Some(b"one".to_vec()))).expect("written"));
        let failed = change(&path, |content| {
            assert_eq!(content.as_deref(), Some(&b"one"[..]));
            Err(Error::unsupported("no"))
        });
        failed.expect_err("refused");
        assert!(!change(&path, |_| Ok(None)).expect("unchanged"));
        assert_eq!(read(&path).expect("a file"), Some(b"one".to_vec()));
    }
}
