//! Copies files out of an image to a directory on this machine.
//!
//! Everything is written to a new temporary directory inside the target, which no other user can enter, and renamed when
//! it is complete and verified. The names are those of a [`Tree`](super::tree::Tree), whose directories are real, and
//! symbolic links are made last: no path that is written leads through a link.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;
#[cfg(not(unix))]
use tranship::Printable;
use tranship::{Error, ErrorKind, Result, blocking};

use super::layer::{LayerEntry, LayerEntryKind};
use super::open::Filesystem;
use super::path::{is_within, shown, split_last};
use super::read::not_found;
use super::tar_reader::unreadable;

/// How [`Filesystem::copy_out`] writes files.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default)]
pub struct CopyOutOptions {
    /// Whether a file that exists is replaced. A directory that exists never is.
    pub overwrite: bool,
    /// Whether set-uid, set-gid and sticky bits are kept.
    pub special_bits: bool,
}

impl CopyOutOptions {
    /// Sets [`overwrite`](Self::overwrite).
    #[must_use]
    pub fn with_overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Sets [`special_bits`](Self::special_bits).
    #[must_use]
    pub fn with_special_bits(mut self, special_bits: bool) -> Self {
        self.special_bits = special_bits;
        self
    }
}

/// What [`Filesystem::copy_out`] wrote.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyOutReport {
    /// The files and directories that now are in the target, without the content of directories.
    pub written: Vec<PathBuf>,
    /// How many files were written, with links and without directories.
    pub files: u64,
    /// How many bytes the files have.
    pub bytes: u64,
    /// The paths in the image of devices and named pipes, which are not copied.
    pub skipped: Vec<String>,
}

impl Filesystem<'_> {
    /// Copies the file or directory at `path`, with everything below it, into the directory `target`, which is made if
    /// it does not exist. For the root of the image, its content is copied.
    ///
    /// Symbolic links in `path` are followed, those below it are copied unchanged. Files get the permissions of the
    /// image, as far as the umask allows, and its times; they belong to the user who copies. Nothing appears under its
    /// name until all of it is complete and verified; on an error, and if the future is dropped, nothing is left.
    ///
    /// # Errors
    /// - As [`metadata`](Self::metadata).
    /// - [`Io`](ErrorKind::Io) if a file exists and is not to be replaced, or a directory exists.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if `path` is a device or a named pipe.
    /// - [`PermissionDenied`](ErrorKind::PermissionDenied), [`StorageFull`](ErrorKind::StorageFull) and what else the
    ///   file system fails with.
    pub async fn copy_out(
        &mut self,
        path: &str,
        target: impl AsRef<Path>,
        options: CopyOutOptions,
    ) -> Result<CopyOutReport> {
        let target = target.as_ref().to_owned();
        let requested = super::path::requested(path)?;
        let name = super::path::components(&requested).next_back();
        let name = name.filter(|name| *name != b"..").map(<[u8]>::to_vec);
        let entry = self.metadata(path).await?;
        let output = {
            let target = target.clone();
            blocking::run(move || Output::new(target, options)).await?
        };
        if entry.is_directory() {
            return self
                .copy_directory(path, &entry.path[1..], name, output)
                .await;
        }
        let Some(name) = name else {
            return Err(not_found(path));
        };
        let (entry, content) = match self.read(path).await {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                return Err(error.with_hint("only files, directories and links are copied"));
            }
            Err(error) => return Err(error),
        };
        let size = content.size();
        let body = content.into_body()?;
        blocking::read_stream(body.into_stream(), move |mut reader| {
            let mut output = output;
            let facts = Facts {
                mode: entry.mode,
                mtime: entry.mtime,
                nanoseconds: 0,
            };
            output.file(&name, &mut reader, size, facts)?;
            output.publish(vec![name])
        })
        .await
    }

    async fn copy_directory(
        &mut self,
        path: &str,
        root: &[u8],
        name: Option<Vec<u8>>,
        mut output: Output,
    ) -> Result<CopyOutReport> {
        self.keep_layers();
        let tree = self.tree().await?;
        let Some(resolved) = tree.resolve(root, true)? else {
            return Err(not_found(path));
        };
        let root = resolved.path;
        let is_root = root.is_empty();
        let name = match name {
            Some(name) if !is_root => name,
            _ => split_last(&root).1.to_vec(),
        };
        // The path in the output: below the name, or for the root unchanged.
        let renamed = {
            let (root, name) = (root.clone(), name.clone());
            move |path: &[u8]| -> Vec<u8> {
                let rest = path.get(root.len()..).unwrap_or_default();
                [&name, rest].concat()
            }
        };
        let listed = tree.walk(&root, resolved.node, true);
        debug_assert!(listed.iter().all(|(path, _)| is_within(path, &root)));
        let mut directories = Vec::new();
        let mut links = Vec::new();
        if !is_root {
            let facts = Facts::of(tree.entry(resolved.node));
            directories.push((name.clone(), facts));
        }
        for (path, node) in &listed {
            let entry = tree.entry(*node);
            match entry.map(|entry| &entry.kind) {
                _ if tree.node(*node).children.is_some() => {
                    directories.push((renamed(path), Facts::of(entry)));
                }
                Some(LayerEntryKind::Symlink { target }) => {
                    links.push((renamed(path), target.to_vec()));
                }
                Some(LayerEntryKind::File { .. }) => {}
                _ => output.report.skipped.push(shown(path)),
            }
        }
        let made: Vec<Vec<u8>> = directories.iter().map(|(path, _)| path.clone()).collect();
        output = blocking::run(move || {
            for path in &made {
                output.directory(path)?;
            }
            Ok(output)
        })
        .await?;
        for (number, files) in tree.files(&listed).into_iter().enumerate() {
            if files.is_empty() {
                continue;
            }
            let files: HashMap<usize, Vec<Vec<u8>>> = files
                .into_iter()
                .map(|(place, names)| (place, names.into_iter().map(&renamed).collect()))
                .collect();
            let layer = self.entries(number).await?;
            output = self
                .contents(number, output, move |output, place, content| {
                    let entry = layer.all.get(place);
                    let (Some(names), Some(entry)) = (files.get(&place), entry) else {
                        return Ok(());
                    };
                    let Some((first, others)) = names.split_first() else {
                        return Ok(());
                    };
                    let size = match entry.kind {
                        LayerEntryKind::File { size } => size,
                        _ => 0,
                    };
                    output.file(first, content, size, Facts::of(Some(entry)))?;
                    for other in others {
                        output.hard_link(first, other)?;
                    }
                    Ok(())
                })
                .await?;
        }
        let top: Vec<Vec<u8>> = if is_root {
            let names = tree.walk(b"", tree.root(), false).into_iter();
            let is_copied = |node: usize| {
                tree.entry(node).is_none_or(|entry| {
                    matches!(
                        entry.kind,
                        LayerEntryKind::File { .. }
                            | LayerEntryKind::Directory
                            | LayerEntryKind::Symlink { .. }
                    )
                })
            };
            names
                .filter(|(_, node)| is_copied(*node))
                .map(|(name, _)| name)
                .collect()
        } else {
            vec![name]
        };
        blocking::run(move || {
            for (path, target) in &links {
                output.symlink(path, target)?;
            }
            // Those below first: times change, and permissions may forbid, what happens in a directory.
            for (path, facts) in directories.iter().rev() {
                output.finish_directory(path, *facts)?;
            }
            output.publish(top)
        })
        .await
    }
}

/// What a file gets of the image.
#[derive(Debug, Clone, Copy)]
struct Facts {
    mode: u32,
    mtime: i64,
    nanoseconds: u32,
}

impl Facts {
    fn of(entry: Option<&LayerEntry>) -> Self {
        Self {
            mode: entry.map_or(0o755, |entry| entry.mode),
            mtime: entry.map_or(0, |entry| entry.mtime),
            nanoseconds: entry.map_or(0, |entry| entry.nanoseconds),
        }
    }

    fn time(self) -> Option<SystemTime> {
        let nanoseconds = Duration::from_nanos(self.nanoseconds.into());
        let seconds = Duration::from_secs(self.mtime.unsigned_abs());
        let time = if self.mtime < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(seconds)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(seconds)
        };
        time?.checked_add(nanoseconds)
    }
}

/// The files that are being written.
struct Output {
    target: PathBuf,
    /// Whether the target was made for this.
    is_new: bool,
    temporary: Option<tempfile::TempDir>,
    root: PathBuf,
    options: CopyOutOptions,
    report: CopyOutReport,
}

/// Removes unpublished files, and a target that was made and is empty.
impl Drop for Output {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            make_removable(temporary.path());
            drop(temporary);
        }
        if self.is_new {
            // Fails if something has been published.
            let _ = fs::remove_dir(&self.target);
        }
    }
}

impl Output {
    fn new(target: PathBuf, options: CopyOutOptions) -> Result<Self> {
        let is_new = !target.exists();
        fs::create_dir_all(&target).map_err(|error| failed("be made", &target, error))?;
        let temporary = tempfile::Builder::new()
            .prefix(".tranship-")
            .tempdir_in(&target)
            .map_err(|error| failed("be written to", &target, error))?;
        Ok(Self {
            root: temporary.path().to_owned(),
            temporary: Some(temporary),
            target,
            is_new,
            options,
            report: CopyOutReport::default(),
        })
    }

    /// Returns the path of a file that is being written.
    fn place(&self, path: &[u8]) -> Result<PathBuf> {
        let mut place = self.root.clone();
        for part in super::path::components(path) {
            place.push(file_name(part)?);
        }
        Ok(place)
    }

    fn directory(&mut self, path: &[u8]) -> Result<()> {
        let place = self.place(path)?;
        fs::create_dir(&place).map_err(|error| failed("be made", &place, error))
    }

    fn file(&mut self, path: &[u8], content: &mut dyn Read, size: u64, facts: Facts) -> Result<()> {
        let place = self.place(path)?;
        let cannot_write = |error| failed("be written", &place, error);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        // The umask applies.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, facts.mode & 0o777);
        let mut file = options.open(&place).map_err(cannot_write)?;
        let mut buffer = vec![0; usize::try_from(size.clamp(1, 128 * 1024)).unwrap_or(1)];
        let mut left = size;
        while left > 0 {
            let length = content.read(&mut buffer).map_err(unreadable)?;
            if length == 0 {
                return Err(unreadable(io::ErrorKind::UnexpectedEof.into()));
            }
            file.write_all(&buffer[..length]).map_err(cannot_write)?;
            left = left.saturating_sub(length as u64);
        }
        self.add_special_bits(&file, facts).map_err(cannot_write)?;
        if let Some(time) = facts.time() {
            // Some file systems do not have every time. The copy does not fail then.
            let _ = file.set_modified(time);
        }
        self.report.files += 1;
        self.report.bytes += size;
        Ok(())
    }

    #[cfg(unix)]
    fn add_special_bits(&self, file: &File, facts: Facts) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;

        let special = facts.mode & 0o7000;
        if !self.options.special_bits || special == 0 {
            return Ok(());
        }
        let mode = file.metadata()?.permissions().mode() & 0o777;
        file.set_permissions(fs::Permissions::from_mode(mode | special))
    }

    #[cfg(not(unix))]
    fn add_special_bits(&self, _: &File, _: Facts) -> io::Result<()> {
        Ok(())
    }

    fn hard_link(&mut self, first: &[u8], other: &[u8]) -> Result<()> {
        let (first, other) = (self.place(first)?, self.place(other)?);
        // Both are in a directory that only this process writes to. File systems without hard links get a copy.
        let linked = fs::hard_link(&first, &other).or_else(|_| fs::copy(&first, &other).map(drop));
        linked.map_err(|error| failed("be written", &other, error))?;
        self.report.files += 1;
        Ok(())
    }

    fn symlink(&mut self, path: &[u8], target: &[u8]) -> Result<()> {
        let place = self.place(path)?;
        make_symlink(target, &place).map_err(|error| failed("be made", &place, error))?;
        self.report.files += 1;
        Ok(())
    }

    fn finish_directory(&mut self, path: &[u8], facts: Facts) -> Result<()> {
        let place = self.place(path)?;
        finish_directory(&place, facts, self.options.special_bits)
            .map_err(|error| failed("be changed", &place, error))
    }

    /// Renames the complete files to their names in the target.
    fn publish(mut self, names: Vec<Vec<u8>>) -> Result<CopyOutReport> {
        let mut moves = Vec::new();
        for name in &names {
            let name = file_name(name)?;
            let (from, to) = (self.root.join(&name), self.target.join(&name));
            self.expect_room(&from, &to)?;
            moves.push((from, to));
        }
        for (from, to) in moves {
            fs::rename(&from, &to).map_err(|error| failed("be written", &to, error))?;
            self.report.written.push(to);
        }
        let report = std::mem::take(&mut self.report);
        Ok(report)
    }

    /// Checks that `to` does not exist, or may be replaced.
    fn expect_room(&self, from: &Path, to: &Path) -> Result<()> {
        let Ok(existing) = fs::symlink_metadata(to) else {
            return Ok(());
        };
        let conflict = |message: &'static str, hint: &'static str| {
            let error = Error::new(ErrorKind::Io, message);
            Err(error.with_subject(to.display()).with_hint(hint))
        };
        if existing.is_dir() {
            return conflict(
                "the directory exists, and directories are not merged",
                "remove it, or copy to another directory",
            );
        }
        if !self.options.overwrite {
            return conflict("the file exists", "--overwrite replaces it");
        }
        if from.is_dir() {
            return conflict(
                "the file exists, and a directory does not replace it",
                "remove it, or copy to another directory",
            );
        }
        Ok(())
    }
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    Error::io(format!("it cannot {what}"), error).with_subject(path.display())
}

/// Returns a name for the file system of this machine.
#[cfg(unix)]
fn file_name(name: &[u8]) -> Result<std::ffi::OsString> {
    use std::os::unix::ffi::OsStrExt as _;

    Ok(std::ffi::OsStr::from_bytes(name).to_owned())
}

/// Returns a name for the file system of this machine.
#[cfg(not(unix))]
fn file_name(name: &[u8]) -> Result<std::ffi::OsString> {
    let text = str::from_utf8(name).ok();
    let is_plain = |text: &&str| !text.contains(['\\', ':', '/', '<', '>', '"', '|', '?', '*']);
    match text.filter(is_plain) {
        Some(text) => Ok(text.into()),
        None => Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "a file cannot have the name {} on this system",
                Printable(&String::from_utf8_lossy(name))
            ),
        )),
    }
}

#[cfg(unix)]
fn make_symlink(target: &[u8], place: &Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;

    std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(target), place)
}

#[cfg(not(unix))]
fn make_symlink(_: &[u8], _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(unix)]
fn finish_directory(place: &Path, facts: Facts, special_bits: bool) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = File::open(place)?;
    // What the umask left when the directory was made.
    let allowed = directory.metadata()?.permissions().mode() & 0o777;
    let special = if special_bits { facts.mode & 0o7000 } else { 0 };
    let mode = facts.mode & allowed | special;
    if let Some(time) = facts.time() {
        let _ = directory.set_modified(time);
    }
    directory.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn finish_directory(_: &Path, _: Facts, _: bool) -> io::Result<()> {
    Ok(())
}

/// Lets directories be removed whose permissions in the image forbid it. Links are not followed.
fn make_removable(directory: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;

        let mut waiting = vec![directory.to_owned()];
        while let Some(directory) = waiting.pop() {
            let _ = fs::set_permissions(&directory, fs::Permissions::from_mode(0o700));
            let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
            let directories = entries.filter(|entry| {
                let kind = entry.file_type();
                kind.is_ok_and(|kind| kind.is_dir())
            });
            waiting.extend(directories.map(|entry| entry.path()));
        }
    }
    #[cfg(not(unix))]
    let _ = directory;
}
