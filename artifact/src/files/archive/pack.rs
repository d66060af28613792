//! Writes a directory into an archive that has the same bytes on every machine.

use std::fs::{self, Metadata};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};
use tempfile::NamedTempFile;
use tranship::blocking::CancelFlag;
use tranship::{Algorithm, Digest, Error, ErrorKind, Printable, Result};
use walkdir::{DirEntry, WalkDir};

use super::super::regular::{changed, has_changed, open_regular, special};
use super::super::title::SafePath;
use super::hashed::Hashed;
use super::link;

/// Writes are gathered up to this size, in bytes.
const CHUNK: usize = 64 * 1024;
/// The level of zlib's `compress`, a compromise of time and size.
const LEVEL: u32 = 6;
/// The operating system in a header of gzip that is not known (RFC 1952, section 2.3.1).
const UNKNOWN_SYSTEM: u8 = 255;

/// An archive in a temporary file, which is deleted when this is dropped.
pub(in super::super) struct Packed {
    pub(in super::super) file: NamedTempFile,
    /// The digest of the file.
    pub(in super::super) digest: Digest,
    /// The size of the file, in bytes.
    pub(in super::super) size: u64,
    /// The digest of the archive before compression.
    pub(in super::super) tar_digest: Digest,
}

/// Packs the directory `root` under the name `title`, compressed with gzip. `any_link` packs links that lead out of the
/// directory, too.
pub(in super::super) fn pack(
    root: &Path,
    title: &str,
    any_link: bool,
    cancelled: &CancelFlag,
) -> Result<Packed> {
    let failed = |error| {
        Error::io("a temporary file cannot be written", error)
            .with_subject(std::env::temp_dir().display())
    };
    let mut file = tempfile::Builder::new()
        .prefix("tranship-")
        .tempfile()
        .map_err(failed)?;
    let hashed = |file| Hashed::new(file, Algorithm::default(), cancelled.clone());
    let gzip = GzBuilder::new()
        .mtime(0)
        .operating_system(UNKNOWN_SYSTEM)
        .write(
            BufWriter::with_capacity(CHUNK, hashed(file.as_file_mut())),
            Compression::new(LEVEL),
        );
    let tar = Hashed::new(gzip, Algorithm::default(), cancelled.clone());
    let tar = write(root, title, any_link, BufWriter::with_capacity(CHUNK, tar))?;
    let tar = tar
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    let (gzip, tar_digest, _) = tar.finish();
    let written = gzip.finish().map_err(failed)?;
    let written = written
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    let (_, digest, size) = written.finish();
    Ok(Packed {
        file,
        digest,
        size,
        tar_digest,
    })
}

/// Returns the digest that the archive of the directory `root` has before compression.
pub(in super::super) fn tar_digest(
    root: &Path,
    title: &str,
    cancelled: &CancelFlag,
) -> Result<Digest> {
    let tar = Hashed::new(io::sink(), Algorithm::default(), cancelled.clone());
    let tar = write(root, title, true, BufWriter::with_capacity(CHUNK, tar))?;
    let tar = tar
        .into_inner()
        .map_err(|error| Error::io("cannot be hashed", error.into_error()))?;
    let (_, digest, _) = tar.finish();
    Ok(digest)
}

fn write<W: Write>(root: &Path, title: &str, any_link: bool, out: W) -> Result<W> {
    let prefix = SafePath::parse(title).map_err(|reason| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("as the title of a directory, {reason}"),
        )
        .with_subject(Printable(title))
        .with_hint("give the directory a title that is a relative path without `..`")
    })?;
    let mut builder = Builder::new(out);
    for entry in WalkDir::new(root).sort_by_file_name() {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(root).display().to_string();
            Error::io("cannot be read", error.into()).with_subject(path)
        })?;
        append(&mut builder, &prefix, root, &entry, any_link)
            .map_err(|error| error.with_subject(entry.path().display()))?;
    }
    builder
        .into_inner()
        .map_err(|error| Error::io("the archive cannot be written", error))
}

fn append<W: Write>(
    builder: &mut Builder<W>,
    prefix: &SafePath,
    root: &Path,
    entry: &DirEntry,
    any_link: bool,
) -> Result<()> {
    let failed = |error| Error::io("cannot be archived", error);
    let below = below(root, entry.path())?;
    let name = prefix.join(&below).to_string();
    // The directory itself may be given by a link to it.
    let metadata = match entry.depth() {
        0 => fs::metadata(entry.path()).map_err(failed)?,
        _ => fs::symlink_metadata(entry.path()).map_err(failed)?,
    };
    let kind = metadata.file_type();
    if kind.is_dir() {
        let mut header = header(EntryType::Directory, mode_of(&metadata), 0);
        builder
            .append_data(&mut header, name, io::empty())
            .map_err(failed)
    } else if kind.is_symlink() {
        let target = fs::read_link(entry.path()).map_err(failed)?;
        let target = target.to_str().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                "the target of the symbolic link is not UTF-8",
            )
        })?;
        if !any_link && !link::stays_inside(target, below.names().len() - 1) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("the symbolic link to {target} can lead out of the directory, so it cannot be pulled"),
            )
            .with_hint("replace it by a relative link with all `..` at its start, or allow any path"));
        }
        let mut header = header(EntryType::Symlink, 0o777, 0);
        builder
            .append_link(&mut header, name, target)
            .map_err(failed)
    } else if kind.is_file() {
        append_file(builder, &name, entry.path())
    } else {
        Err(Error::unsupported(format!(
            "is {}, which an archive cannot have",
            special(kind)
        )))
    }
}

fn append_file<W: Write>(builder: &mut Builder<W>, name: &str, path: &Path) -> Result<()> {
    let failed = |error| Error::io("cannot be archived", error);
    let mut file = open_regular(path)?;
    let before = file.metadata().map_err(failed)?;
    let mut header = header(EntryType::Regular, mode_of(&before), before.len());
    let mut content = (&mut file).take(before.len());
    builder
        .append_data(&mut header, name, &mut content)
        .map_err(failed)?;
    let missing = content.limit();
    if missing > 0 || has_changed(&before, &file.metadata().map_err(failed)?) {
        return Err(changed());
    }
    Ok(())
}

fn below(root: &Path, path: &Path) -> Result<SafePath> {
    let below = path.strip_prefix(root).unwrap_or(path);
    let refuse = |reason| Error::new(ErrorKind::InvalidInput, reason);
    if below.as_os_str().is_empty() {
        return SafePath::parse(".").map_err(refuse);
    }
    let names = below
        .components()
        .map(|component| component.as_os_str().to_str());
    let names = names.collect::<Option<Vec<_>>>();
    let names = names.ok_or_else(|| refuse("the name is not UTF-8"))?;
    SafePath::parse(&names.join("/")).map_err(refuse)
}

/// Returns a header without what differs between machines: times, owners, and numbers of devices.
fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// Returns who may read, write and execute. Set-user-ID, set-group-ID and sticky bits are left out.
#[cfg(unix)]
fn mode_of(metadata: &Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777
}

#[cfg(not(unix))]
fn mode_of(metadata: &Metadata) -> u32 {
    if metadata.is_dir() { 0o755 } else { 0o644 }
}
