//! `index.json` on a local disk: read when it has changed, and replaced under a lock.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tempfile::NamedTempFile;
use tranship::{Algorithm, Digest, Digester, Error, ErrorKind, Result};

use super::commit::{Commit, open_to_sync};
use super::lock::Lock;
use super::reserve;
use crate::driver::file::{check_limit, failed, not_named, open_regular, stat_regular};
use crate::driver::stamp::Stamp;
use crate::driver::{INDEX, IndexChange, IndexContent, IndexEdit, IndexRead, disk, vanished};

/// Tools that write the file in place truncate it first. So often, and for so long in between, is a
/// file that looks unfinished read again before it counts as torn.
const PATIENCE: (u32, Duration) = (6, Duration::from_millis(15));

/// How often the file may be replaced, without our lock, between reading and renaming.
pub(super) const MAX_ATTEMPTS: u32 = 32;

/// How old a new file looks: old enough that its stamp alone tells whether it has changed.
const SETTLED: Duration = Duration::from_secs(1);

/// One state of the file.
#[derive(Clone)]
pub(crate) struct FileVersion(Arc<Version>);

struct Version {
    // Held open, so that no other file can get the same inode: if it is the same, the file has not been
    // replaced.
    _file: File,
    stamp: Stamp,
    // Set if the file may have been written in place since without a change of the stamp. The digest of its
    // content decides in that case.
    racy: Option<Digest>,
}

impl FileVersion {
    fn new(file: File, stamp: Stamp, pieces: &[Bytes]) -> Self {
        let racy = stamp.is_fresh().then(|| digest_of(pieces));
        Self(Arc::new(Version {
            _file: file,
            stamp,
            racy,
        }))
    }
}

/// What reading the file found.
pub(super) type Read = IndexRead<FileVersion>;

/// Tells by its metadata that the file is still the one that is known; `None` if it has to be read.
pub(super) fn look(commit: &Commit, known: Option<&FileVersion>) -> Result<Option<Read>> {
    let Some(known) = known else {
        return Ok(None);
    };
    if known.0.racy.is_some() {
        return Ok(None);
    }
    let found = stat_regular(&commit.paths.file(INDEX))?;
    let is_same = found.is_some_and(|metadata| Stamp::of(&metadata) == known.0.stamp);
    Ok(is_same.then(|| IndexRead::Unchanged(known.clone())))
}

/// Reads the file, unless it is still the one that is known.
pub(super) fn read(commit: &Commit, known: Option<&FileVersion>, limit: u64) -> Result<Read> {
    if let Some(unchanged) = look(commit, known)? {
        return Ok(unchanged);
    }
    let path = commit.paths.file(INDEX);
    let (attempts, pause) = PATIENCE;
    let mut attempt = 1;
    loop {
        let Some((mut file, before)) = open_regular(&path)? else {
            return Ok(IndexRead::Absent);
        };
        check_size(before.len(), limit, &path)?;
        let content = read_whole(&mut file, before.len(), limit, &path)?;
        let stamp = Stamp::of(
            &file
                .metadata()
                .map_err(|error| failed("inspected", &path, error))?,
        );
        let settled = stamp == Stamp::of(&before) && looks_complete(&content);
        if settled || attempt == attempts {
            let unchanged = known.is_some_and(|known| {
                known.0.stamp == stamp && known.0.racy.is_some_and(|racy| racy.matches(&content))
            });
            let version = FileVersion::new(file, stamp, std::slice::from_ref(&content));
            return Ok(if unchanged {
                IndexRead::Unchanged(version)
            } else {
                IndexRead::Read(content, version)
            });
        }
        attempt += 1;
        std::thread::sleep(pause);
    }
}

fn read_whole(file: &mut File, length: u64, limit: u64, path: &Path) -> Result<Bytes> {
    // One byte more, to see the end without growing.
    let mut content = Vec::new();
    let room = usize::try_from(length).unwrap_or(0).saturating_add(1);
    let _ = content.try_reserve_exact(room);
    file.take(limit.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(|error| failed("read", path, error))?;
    check_size(content.len() as u64, limit, path)?;
    Ok(content.into())
}

fn check_size(size: u64, limit: u64, path: &Path) -> Result<()> {
    check_limit(size, limit).map_err(|error| {
        error.with_subject(path.display()).with_hint(
            "raise the limit with LayoutOptions::with_max_index_size if the layout is sound",
        )
    })
}

fn looks_complete(content: &[u8]) -> bool {
    content.trim_ascii_end().ends_with(b"}")
}

/// Changes the file under the lock. Whoever takes no lock is noticed up to the moment of renaming.
pub(super) fn update(
    commit: &Commit,
    mut known: Option<FileVersion>,
    limit: u64,
    mut edit: IndexEdit,
) -> Result<Option<FileVersion>> {
    commit.ensure_layout()?;
    // This may take long, so it is done before the lock is taken; mostly nothing is left to do then.
    if let Some(found) = stat_regular(&commit.paths.file(INDEX))? {
        secure(commit, &Stamp::of(&found), None)?;
    }
    let lock = Lock::take(&commit.paths)?;
    for _ in 0..MAX_ATTEMPTS {
        let found = read(commit, known.as_ref(), limit)?;
        let change = edit(found.state())?;
        known = found.into_version();
        require(commit, &change)?;
        secure_version(commit, known.as_ref(), Some(&lock))?;
        if let Some(content) = &change.content {
            let frees = !change.remove.is_empty();
            match replace(commit, known.as_ref(), content, limit, frees)? {
                Some(version) => known = Some(version),
                None => continue,
            }
        }
        note(commit, &lock, known.as_ref());
        for digest in &change.remove {
            commit.remove_blob(digest)?;
        }
        return Ok(known);
    }
    Err(replaced_all_the_time(commit))
}

pub(super) fn replaced_all_the_time(commit: &Commit) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "another program, which takes no lock, replaces the file all the time",
    )
    .with_subject(commit.paths.file(INDEX).display())
    .with_retryable(true)
}

fn require(commit: &Commit, change: &IndexChange) -> Result<()> {
    for (digest, size) in change.required() {
        let found = match commit.paths.blob(&digest)? {
            Some(path) => stat_regular(&path)?,
            None => None,
        };
        if found.is_none_or(|found| found.len() != size) {
            return Err(vanished(&digest));
        }
    }
    Ok(())
}

/// Makes the file in the state `version` durable, and everything that it leads to. The next state leads to
/// most of that, too.
///
/// If the file itself cannot be synced, it is replaced by a copy, and is in another state afterwards.
pub(super) fn secure_version(
    commit: &Commit,
    version: Option<&FileVersion>,
    held: Option<&Lock>,
) -> Result<()> {
    match version {
        Some(version) => secure(commit, &version.0.stamp, held),
        None => Ok(()),
    }
}

fn secure(commit: &Commit, stamp: &Stamp, held: Option<&Lock>) -> Result<()> {
    if !commit.is_index_secure(stamp) {
        let is_synced = commit.sync_file_system();
        if !is_synced {
            commit.sync_all_blobs()?;
        }
        if (!is_synced || commit.paths.is_suspect(INDEX)) && !sync(commit, held)? {
            return Ok(());
        }
    }
    commit.remember_index(stamp);
    Ok(())
}

/// Makes the file itself durable. Before a blob is removed, the state that does not need it must be on the
/// disk: a power cut could bring an older one back.
pub(super) fn secure_file(commit: &Commit, held: Option<&Lock>) -> Result<()> {
    match stat_regular(&commit.paths.file(INDEX))? {
        Some(found) if !commit.is_index_secure(&Stamp::of(&found)) => sync(commit, held).map(drop),
        _ => Ok(()),
    }
}

/// Syncs the file and its name. If that fails, or has failed before, the file is written anew. Returns
/// whether it is still the same file.
fn sync(commit: &Commit, held: Option<&Lock>) -> Result<bool> {
    let path = commit.paths.file(INDEX);
    let Some(file) = open_to_sync(&path)? else {
        return Ok(true);
    };
    if !commit.paths.is_suspect(INDEX) {
        if disk::sync_file(&file, &path).is_ok() {
            commit.sync_directory(commit.paths.root())?;
            return Ok(true);
        }
        commit.paths.suspect(INDEX);
    }
    match held {
        Some(_) => rewrite(commit)?,
        None => {
            let _lock = Lock::take(&commit.paths)?;
            rewrite(commit)?;
        }
    }
    Ok(false)
}

/// Replaces the file, under the lock, by one of the same content.
fn rewrite(commit: &Commit) -> Result<()> {
    if let IndexRead::Read(content, version) = read(commit, None, u64::MAX)?
        && replace(commit, Some(&version), &content.into(), u64::MAX, false)?.is_none()
    {
        return Err(replaced_all_the_time(commit));
    }
    Ok(())
}

/// Remembers, for this process and the next, that the file is durable in the state `version`, with
/// everything that it names.
pub(super) fn note(commit: &Commit, lock: &Lock, version: Option<&FileVersion>) {
    if let Some(version) = version.filter(|_| commit.syncs()) {
        commit.remember_index(&version.0.stamp);
        lock.note(&version.0.stamp);
    }
}

/// Whether the file is the one that is known.
pub(super) fn is_current(commit: &Commit, known: Option<&FileVersion>) -> Result<bool> {
    let found = stat_regular(&commit.paths.file(INDEX))?;
    Ok(found.map(|metadata| Stamp::of(&metadata)).as_ref() == known.map(|known| &known.0.stamp))
}

/// Writes the file that is to replace the current one.
///
/// Its time of modification is set to one in the past. A program that writes the file in place afterwards sets another
/// one, however soon that is, so the content need not be read and hashed to notice it.
fn write_new(commit: &Commit, content: &IndexContent) -> Result<NamedTempFile> {
    let mut new = commit.temporary_file(0o666)?;
    for piece in content.pieces() {
        new.write_all(piece)
            .map_err(|error| failed("written", new.path(), error))?;
    }
    // Without it, the file counts as one that was just written.
    let _ = new.as_file().set_modified(SystemTime::now() - SETTLED);
    commit.sync_file(new.as_file(), new.path())?;
    Ok(new)
}

fn digest_of(pieces: &[Bytes]) -> Digest {
    let mut digester = Digester::new(Algorithm::Sha256);
    for piece in pieces {
        digester.update(piece);
    }
    digester.finish()
}

/// Whether `content` is smaller than the file is now.
fn is_smaller(commit: &Commit, content: &IndexContent) -> Result<bool> {
    let found = stat_regular(&commit.paths.file(INDEX))?;
    Ok(found.is_some_and(|found| (content.len() as u64) < found.len()))
}

/// Replaces the file; `None` if it is no longer the known one. A change that `frees` space may use the
/// [reserve] even if it makes the file larger: without an index its manifests are listed one by one.
pub(super) fn replace(
    commit: &Commit,
    known: Option<&FileVersion>,
    content: &IndexContent,
    limit: u64,
    frees: bool,
) -> Result<Option<FileVersion>> {
    let path = &commit.paths.file(INDEX);
    check_size(content.len() as u64, limit, path)?;
    let new = match write_new(commit, content) {
        Err(error)
            if error.kind() == ErrorKind::StorageFull
                && (frees || is_smaller(commit, content)?)
                && reserve::release(&commit.paths) =>
        {
            write_new(commit, content)?
        }
        new => new?,
    };
    if !is_current(commit, known)? {
        return Ok(None);
    }
    let file = disk::persist(new, path).map_err(|error| not_named(path, error.error))?;
    commit.sync_directory(commit.paths.root())?;
    reserve::keep(&commit.paths, content.len() as u64);
    commit.paths.trust(INDEX);
    let metadata = file
        .metadata()
        .map_err(|error| failed("inspected", path, error))?;
    let stamp = Stamp::of(&metadata);
    Ok(Some(FileVersion::new(file, stamp, content.pieces())))
}
