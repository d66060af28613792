//! Moves completed files to where they belong.

use std::fs::File;
use std::io::{self, Read as _};

use tranship::blocking::CancelFlag;
use tranship::{Digest, Error, ErrorKind, Result};

use super::archive::Hashed;
use super::dir::{Dir, Kind};
use super::title::SafePath;

/// How much is compared at a time, in bytes.
const CHUNK: usize = 64 * 1024;

/// Returns whether `output` has the file `path` with the content `digest`.
///
/// # Errors
/// As [`check`].
pub(super) fn is_unchanged(
    output: &Dir,
    path: &SafePath,
    (digest, size): (&Digest, u64),
    replace: bool,
    cancelled: &CancelFlag,
) -> Result<bool> {
    let Some((name, parents)) = path.split_last() else {
        return Ok(false);
    };
    let failed = |error| failed(error, path);
    let Some(parent) = existing(output, parents).map_err(failed)? else {
        return Ok(false);
    };
    match parent.entry(name).map_err(failed)? {
        None => Ok(false),
        Some(found) if found.kind == Kind::Directory => Err(is_a(found.kind, path)),
        Some(found) => {
            if found.kind == Kind::File && found.size == size {
                let file = parent.open_file(name).map_err(failed)?;
                let mut hashed = Hashed::new(file, digest.algorithm(), cancelled.clone());
                io::copy(&mut hashed, &mut io::sink()).map_err(failed)?;
                if hashed.finish().1 == *digest {
                    return Ok(true);
                }
            }
            if replace {
                Ok(false)
            } else {
                Err(exists(path))
            }
        }
    }
}

/// Returns whether `output` has the directory `path`.
///
/// # Errors
/// As [`check`].
pub(super) fn is_directory(output: &Dir, path: &SafePath) -> Result<bool> {
    let Some((name, parents)) = path.split_last() else {
        return Ok(true);
    };
    let failed = |error| failed(error, path);
    let Some(parent) = existing(output, parents).map_err(failed)? else {
        return Ok(false);
    };
    match parent.entry(name).map_err(failed)? {
        None => Ok(false),
        Some(found) if found.kind == Kind::Directory => Ok(true),
        Some(found) => Err(is_a(found.kind, path)),
    }
}

/// Checks that `path` can be moved from `staged` to `output`. Directories are merged; what exists there as another kind,
/// or with other content unless `replace` is set, is an error.
///
/// # Errors
/// `Io`, which names the first such file, and those of the file system.
pub(super) fn check(staged: &Dir, output: &Dir, path: &SafePath, replace: bool) -> Result<()> {
    let failed = |error| failed(error, path);
    let Some((name, parents)) = path.split_last() else {
        return check_all(staged, output, path, replace);
    };
    let Some(staged) = existing(staged, parents).map_err(failed)? else {
        return Ok(());
    };
    match existing(output, parents).map_err(failed)? {
        Some(output) => check_entry(&staged, &output, name, path, replace),
        None => Ok(()),
    }
}

fn check_all(staged: &Dir, output: &Dir, path: &SafePath, replace: bool) -> Result<()> {
    for name in staged.names().map_err(|error| failed(error, path))? {
        let below = path.child(&name);
        check_entry(staged, output, &name, &below, replace)?;
    }
    Ok(())
}

fn check_entry(
    staged: &Dir,
    output: &Dir,
    name: &str,
    path: &SafePath,
    replace: bool,
) -> Result<()> {
    let failed = |error| failed(error, path);
    let (Some(new), Some(old)) = (
        staged.entry(name).map_err(failed)?,
        output.entry(name).map_err(failed)?,
    ) else {
        return Ok(());
    };
    match (new.kind, old.kind) {
        (Kind::Directory, Kind::Directory) => {
            let (staged, output) = (staged.subdirectory(name), output.subdirectory(name));
            check_all(
                &staged.map_err(failed)?,
                &output.map_err(failed)?,
                path,
                replace,
            )
        }
        (Kind::Directory, _) | (_, Kind::Directory) => Err(is_a(old.kind, path)),
        _ if replace || is_same(staged, output, name).map_err(failed)? => Ok(()),
        _ => Err(exists(path)),
    }
}

/// Moves `path` from `staged` to `output`, and returns whether anything was changed there. What is the same stays.
///
/// # Errors
/// As [`check`]; what was moved before stays moved.
pub(super) fn apply(staged: &Dir, output: &Dir, path: &SafePath, replace: bool) -> Result<bool> {
    let failed = |error| failed(error, path);
    let Some((name, parents)) = path.split_last() else {
        return apply_all(staged, output, path, replace);
    };
    // It is missing if it was moved together with a directory that it is in.
    let Some(staged) = existing(staged, parents).map_err(failed)? else {
        return Ok(true);
    };
    let output = output.descend_or_make(parents).map_err(failed)?;
    apply_entry(&staged, &output, name, path, replace)
}

fn apply_all(staged: &Dir, output: &Dir, path: &SafePath, replace: bool) -> Result<bool> {
    let mut is_changed = false;
    for name in staged.names().map_err(|error| failed(error, path))? {
        let below = path.child(&name);
        is_changed |= apply_entry(staged, output, &name, &below, replace)?;
    }
    Ok(is_changed)
}

fn apply_entry(
    staged: &Dir,
    output: &Dir,
    name: &str,
    path: &SafePath,
    replace: bool,
) -> Result<bool> {
    let failed = |error| failed(error, path);
    let Some(new) = staged.entry(name).map_err(failed)? else {
        return Ok(true);
    };
    let replace = match output.entry(name).map_err(failed)? {
        None => false,
        Some(old) => match (new.kind, old.kind) {
            (Kind::Directory, Kind::Directory) => {
                let (staged, output) = (staged.subdirectory(name), output.subdirectory(name));
                return apply_all(
                    &staged.map_err(failed)?,
                    &output.map_err(failed)?,
                    path,
                    replace,
                );
            }
            (Kind::Directory, _) | (_, Kind::Directory) => return Err(is_a(old.kind, path)),
            _ if is_same(staged, output, name).map_err(failed)? => return Ok(false),
            _ => replace,
        },
    };
    match staged.rename(name, output, name, replace) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists(path)),
        moved => moved.map_err(failed).map(|()| true),
    }
}

/// Returns whether two files or links are the same: their content or target, and for files who may execute them.
fn is_same(one: &Dir, other: &Dir, name: &str) -> io::Result<bool> {
    let (Some(first), Some(second)) = (one.entry(name)?, other.entry(name)?) else {
        return Ok(false);
    };
    match (first.kind, second.kind) {
        (Kind::Link, Kind::Link) => Ok(one.read_link(name)? == other.read_link(name)?),
        (Kind::File, Kind::File)
            if first.size == second.size && first.mode & 0o111 == second.mode & 0o111 =>
        {
            have_same_content(one.open_file(name)?, other.open_file(name)?)
        }
        _ => Ok(false),
    }
}

fn have_same_content(mut one: File, mut other: File) -> io::Result<bool> {
    let (mut first, mut second) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        let read = fill(&mut one, &mut first)?;
        if fill(&mut other, &mut second)? != read || first[..read] != second[..read] {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
    }
}

fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Opens the directory `names`; `None` if it does not exist.
fn existing(directory: &Dir, names: &[String]) -> io::Result<Option<Dir>> {
    match directory.descend(names) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn exists(path: &SafePath) -> Error {
    Error::new(ErrorKind::Io, "exists with other content")
        .with_subject(path)
        .with_hint("allow that it is replaced, or pull into another directory")
}

fn is_a(kind: Kind, path: &SafePath) -> Error {
    let message = format!(
        "is {} in the output directory, and something else in the artifact",
        kind.as_str()
    );
    Error::new(ErrorKind::Io, message)
        .with_subject(path)
        .with_hint("move it away, or pull into another directory")
}

pub(super) fn failed(error: io::Error, path: &SafePath) -> Error {
    if error.kind() == io::ErrorKind::NotADirectory {
        return Error::new(
            ErrorKind::Io,
            "a directory above it is a file or a symbolic link, which is not followed",
        )
        .with_subject(path)
        .with_hint("pull into the directory that the link leads to");
    }
    Error::io("cannot be written", error).with_subject(path)
}
