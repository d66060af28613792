//! Unpacks an archive from outside into a new directory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, Entry, EntryType};
use tranship::blocking::CancelFlag;
use tranship::{Algorithm, Digest, Error, ErrorKind, Printable, Result};

use super::super::dir::{Dir, Kind};
use super::super::title::SafePath;
use super::hashed::Hashed;
use super::link;
use super::metered::{Allowance, Metered};

/// How much the name and the attributes of an entry may be, in bytes, with the padding of the entry before.
const MAX_METADATA: u64 = 1024 * 1024;
/// The first bytes of what gzip has compressed (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What an archive may have at most.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Limits {
    pub(in super::super) entries: u64,
    /// The size before compression, in bytes.
    pub(in super::super) bytes: u64,
}

/// Unpacks the archive `input` as the directory `name` of `parent`, or into `parent` itself, where nothing may exist. All
/// names in it must begin with `prefix`, which is removed. Returns the digest that it has before compression.
///
/// Creates directories, files and links, without set-user-ID, set-group-ID and sticky bits, and never follows a link.
/// The owner of a directory can use it, and that of a file can read it, whatever their modes are.
///
/// # Errors
/// `Unsupported` for what is refused, `SizeExceedsLimit`, `Corrupt` if it is not an archive, and those of the file system.
pub(in super::super) fn unpack(
    input: impl Read,
    algorithm: Algorithm,
    prefix: &SafePath,
    parent: &Dir,
    name: Option<&str>,
    limits: Limits,
    cancelled: &CancelFlag,
) -> Result<Digest> {
    let mut input = BufReader::new(input);
    let allowance = Allowance::new(limits.bytes);
    let start = input.fill_buf().map_err(|error| allowance.explain(error))?;
    let tar: Box<dyn Read + '_> = if start.starts_with(&GZIP) {
        Box::new(MultiGzDecoder::new(&mut input))
    } else {
        Box::new(&mut input)
    };
    let tar = Hashed::new(tar, algorithm, cancelled.clone());
    let mut archive = Archive::new(Metered::new(tar, allowance.clone()));
    let mut tree = Tree {
        parent,
        name,
        current: None,
    };
    allowance.next(MAX_METADATA);
    let mut count = 0_u64;
    for entry in archive
        .entries()
        .map_err(|error| allowance.explain(error))?
    {
        let entry = entry.map_err(|error| allowance.explain(error))?;
        count += 1;
        if count > limits.entries {
            return Err(Error::new(
                ErrorKind::SizeExceedsLimit,
                format!("the archive has more than {} entries", limits.entries),
            ));
        }
        allowance.next(entry.size().saturating_add(MAX_METADATA));
        unpack_entry(entry, prefix, &mut tree, &allowance)?;
        allowance.next(MAX_METADATA);
    }
    if name.is_some() {
        tree.directory(&[])?;
    }
    // What follows the end of the archive counts for its digest.
    allowance.next(u64::MAX);
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(|error| allowance.explain(error))?;
    let (rest, digest, _) = rest.into_inner().finish();
    drop(rest);
    io::copy(&mut input, &mut io::sink()).map_err(|error| allowance.explain(error))?;
    Ok(digest)
}

fn unpack_entry(
    mut entry: Entry<'_, impl Read>,
    prefix: &SafePath,
    tree: &mut Tree<'_>,
    allowance: &Allowance,
) -> Result<()> {
    let kind = entry.header().entry_type();
    if kind == EntryType::XGlobalHeader {
        return Ok(());
    }
    let name = text(&entry.path_bytes())?;
    let in_archive = |error: Error| error.with_subject(Printable(&name));
    let path = below(&name, prefix).map_err(in_archive)?;
    if is_sparse(&mut entry) {
        return Err(in_archive(refused("is a sparse file")));
    }
    let mode = entry.header().mode().unwrap_or(0o644);
    let Some((last, parents)) = path.split_last() else {
        return if kind == EntryType::Directory {
            tree.make_root(mode).map_err(in_archive)
        } else {
            Err(in_archive(refused(
                "the directory itself is not a directory in the archive",
            )))
        };
    };
    let write = |error| written(error).with_subject(Printable(&name));
    match kind {
        EntryType::Directory => {
            let parent = tree.directory(parents)?;
            match parent.make_directory(last, mode | 0o700) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let found = parent.entry(last).map_err(write)?;
                    let is_directory = found.is_some_and(|found| found.kind == Kind::Directory);
                    if is_directory {
                        Ok(())
                    } else {
                        Err(write(error))
                    }
                }
                made => made.map_err(write),
            }
        }
        EntryType::Regular | EntryType::Continuous => {
            let mut file = tree
                .directory(parents)?
                .create_file(last, mode | 0o400)
                .map_err(write)?;
            copy(&mut entry, &mut file, allowance).map_err(in_archive)
        }
        EntryType::Symlink => {
            let target = text(&entry.link_name_bytes().unwrap_or_default())?;
            if !link::stays_inside(&target, parents.len()) {
                let target = Printable(&target);
                return Err(in_archive(refused(format!(
                    "a symbolic link to {target} can lead out of the directory"
                ))));
            }
            tree.directory(parents)?
                .make_link(last, &target)
                .map_err(write)
        }
        EntryType::Link => {
            let target = text(&entry.link_name_bytes().unwrap_or_default())?;
            let target = below(&target, prefix).map_err(in_archive)?;
            let (old_name, old_parents) = target.split_last().unwrap_or_default();
            let old = tree.existing(old_parents).map_err(write)?;
            let found = old.entry(old_name).map_err(write)?;
            if found.is_none_or(|found| found.kind != Kind::File) {
                return Err(in_archive(refused(format!(
                    "a hard link to {target}, which is not a file that precedes it"
                ))));
            }
            tree.directory(parents)?
                .make_hard_link(last, &old, old_name)
                .map_err(write)
        }
        EntryType::Char | EntryType::Block => Err(in_archive(refused("is a device"))),
        EntryType::Fifo => Err(in_archive(refused("is a named pipe"))),
        other => Err(in_archive(refused(format!(
            "is of the type {:?}, which is not unpacked",
            char::from(other.as_byte())
        )))),
    }
}

/// Whether an entry holds a map of the file before its content, as extended headers tell. Its name is not that of the file.
fn is_sparse(entry: &mut Entry<'_, impl Read>) -> bool {
    let Ok(Some(extensions)) = entry.pax_extensions() else {
        return false;
    };
    extensions
        .flatten()
        .any(|extension| extension.key_bytes().starts_with(b"GNU.sparse."))
}

/// Copies an entry, and tells failures of the archive from those of the file.
fn copy(entry: &mut impl Read, file: &mut File, allowance: &Allowance) -> Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match entry.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => io::Write::write_all(file, &buffer[..read]).map_err(written)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(allowance.explain(error)),
        }
    }
}

/// The new directory, with the directory of the last entry kept open.
struct Tree<'a> {
    parent: &'a Dir,
    name: Option<&'a str>,
    current: Option<(Vec<String>, Dir)>,
}

impl Tree<'_> {
    fn make_root(&self, mode: u32) -> Result<()> {
        let Some(name) = self.name else {
            return Ok(());
        };
        match self.parent.make_directory(name, mode | 0o700) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(written(error)),
            _ => Ok(()),
        }
    }

    fn root(&self) -> io::Result<Dir> {
        match self.name {
            Some(name) => self.parent.subdirectory(name),
            None => self.parent.reopen(),
        }
    }

    /// Returns the directory `names`, which is made if it does not exist.
    fn directory(&mut self, names: &[String]) -> Result<&Dir> {
        let is_current = self
            .current
            .as_ref()
            .is_some_and(|(current, _)| current == names);
        if !is_current {
            self.make_root(0o777)?;
            let opened = self.root().and_then(|root| root.descend_or_make(names));
            let opened =
                opened.map_err(|error| written(error).with_subject(Printable(&names.join("/"))))?;
            self.current = Some((names.to_vec(), opened));
        }
        match &self.current {
            Some((_, directory)) => Ok(directory),
            None => Err(Error::new(ErrorKind::Io, "the directory is not open")),
        }
    }

    fn existing(&self, names: &[String]) -> io::Result<Dir> {
        self.root()?.descend(names)
    }
}

/// Returns the path of an entry below the directory that the archive is of.
fn below(name: &str, prefix: &SafePath) -> Result<SafePath> {
    let path = SafePath::parse(name).map_err(refused)?;
    path.below(prefix).ok_or_else(|| {
        refused(format!(
            "is outside of the directory {prefix} of the archive"
        ))
    })
}

fn text(bytes: &[u8]) -> Result<String> {
    let text = String::from_utf8(bytes.to_vec());
    text.map_err(|error| {
        refused("a name in the archive is not UTF-8")
            .with_subject(Printable(&String::from_utf8_lossy(error.as_bytes())))
    })
}

fn refused(reason: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::unsupported(reason)
        .with_hint("the archive may be hostile; keep it packed to look into it with other tools")
}

fn written(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::AlreadyExists => refused("two files in the archive have this name"),
        io::ErrorKind::NotADirectory => refused("is below a file or a symbolic link"),
        _ => Error::io("cannot be written", error),
    }
}
