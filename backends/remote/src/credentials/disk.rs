//! Reading and changing a file of credentials. All of this blocks.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tranship::{Error, ErrorKind, Result};

use super::document::Document;

/// Far more than such a file has.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;

/// Others hold the lock for as long as it takes to write a small file.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns the content of the file at `path`, and `None` if it does not exist.
///
/// # Errors
/// If it cannot be read, or not understood.
pub(crate) fn read(path: &Path) -> Result<Option<Document>> {
    let file = match File::open(path) {
        Ok(file) => file,
        // A directory on the way that is a file is as good as none.
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
    file.take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("the file cannot be read", error))?;
    if bytes.len() as u64 > LARGEST_FILE {
        let message = format!("the file has more than {LARGEST_FILE} bytes");
        return Err(Error::new(ErrorKind::SizeExceedsLimit, message));
    }
    Document::parse(&bytes).map(Some)
}

/// Changes the file at `path`. It is created if it does not exist, and only this user can read it.
/// The file is not written if `change` returns `false`. Concurrent readers see the file of
/// before or after; another process that changes it by this function waits.
///
/// # Errors
/// If it cannot be read, decoded or written. It is not changed in that case.
pub(crate) fn change(
    path: &Path,
    change: impl FnOnce(&mut Document) -> Result<bool>,
) -> Result<bool> {
    let path = behind_links(path);
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_directory(directory)?;
    let _lock = lock(&path)?;
    let mut document = read(&path)?.unwrap_or_default();
    if !change(&mut document)? {
        return Ok(false);
    }
    // Such a file is made with mode 0600.
    let mut file = tempfile::Builder::new()
        .prefix(".credentials")
        .tempfile_in(directory)
        .map_err(|error| Error::io("no file can be created beside it", error))?;
    let bytes = document.encode()?;
    file.write_all(&bytes)
        .and_then(|()| keep_owner_and_mode(&path, file.as_file()))
        .and_then(|()| file.as_file().sync_all())
        .map_err(|error| Error::io("the file cannot be written", error))?;
    file.persist(&path)
        .map_err(|error| Error::io("the file cannot be replaced", error.error))?;
    Ok(true)
}

/// The file that is meant by `path`: a link stays, and what it leads to is changed, or created.
fn behind_links(path: &Path) -> PathBuf {
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

/// Gives `file` the mode and the owner of what is at `path`, if there is something. Only root can give files away:
/// for others the file becomes theirs, as if they had written it anew.
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

/// A lock on the file at `path`, until it is dropped. It is that of a file beside it, since the
/// file itself is replaced.
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
    let failed = |error| Error::io("it cannot be locked", error);
    let file = options.open(&path).map_err(failed)?;
    let begin = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            // As Docker, which takes no lock anywhere.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                return Ok(file);
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) if begin.elapsed() < PATIENCE => {
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
        assert!(change(path, |_| Ok(true)).expect("written"));
    }

    #[test]
    fn a_file_keeps_its_mode_and_its_owner() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("config.json");
        touch(&path);
        let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        for wanted in [0o644, 0o640] {
            fs::set_permissions(&path, fs::Permissions::from_mode(wanted)).expect("ours");
            touch(&path);
            assert_eq!(mode(&path), wanted);
        }
        // Only root can change the owner of a file.
        if chown(&path, Some(1234), Some(5678)).is_ok() {
            touch(&path);
            let metadata = fs::metadata(&path).expect("there");
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
}
