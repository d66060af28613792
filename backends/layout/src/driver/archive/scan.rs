//! One look at every header of a tar file. The content of members is passed over.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use tranship::{Error, ErrorKind, Result};

use crate::driver::file::failed;
use crate::driver::position::read_exact_at;

/// What tar files are made of, in bytes.
pub(super) const BLOCK: u64 = 512;

/// How many bytes the headers of one member may have: long names and pax records are read whole.
const MAX_HEADERS: u64 = 1024 * 1024;

/// One member, as its headers tell.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) name: &'a [u8],
    pub(super) kind: Kind,
    /// Where its content lies.
    pub(super) data: Range<u64>,
    /// Where it lies with all its headers and its padding.
    pub(super) whole: Range<u64>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    /// A symbolic link, or a hard link: what it names is from the root of the archive.
    Link {
        target: Vec<u8>,
        symbolic: bool,
    },
    /// A file of which holes were left out.
    Sparse,
    /// A device or the like.
    Other,
}

/// What is wrong with an archive, or a member of it.
pub(super) fn corrupt(archive: &Path, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, message.into()).with_subject(archive.display())
}

/// The name of a member, for messages.
pub(super) fn show(name: &[u8]) -> String {
    const LONGEST: usize = 160;
    let shown = name.get(..LONGEST).unwrap_or(name);
    format!("{:?}", String::from_utf8_lossy(shown))
}

/// Hands each member of the tar file `file` to `visit`, and answers where the last one ends. The
/// errors name `archive`.
///
/// # Errors
/// `Corrupt` if the file is cut off or no tar file.
pub(super) fn scan(
    file: &File,
    archive: &Path,
    mut visit: impl FnMut(&Member<'_>) -> Result<()>,
) -> Result<u64> {
    let length = file
        .metadata()
        .map_err(|error| failed("inspected", archive, error))?
        .len();
    if length == 0 {
        return Err(corrupt(archive, "is empty, and no archive"));
    }
    let allowance = Cell::new(0);
    let mut file = file;
    file.rewind()
        .map_err(|error| failed("read", archive, error))?;
    let mut tar = tar::Archive::new(Headers {
        file,
        allowance: &allowance,
    });
    let mut entries = tar
        .entries_with_seek()
        .map_err(|error| failed("read", archive, error))?;
    let mut end = 0;
    let mut last = String::from("the beginning");
    loop {
        allowance.set(MAX_HEADERS);
        let Some(entry) = entries.next() else { break };
        let unreadable = |error: io::Error| {
            if error.raw_os_error().is_some() {
                return failed("read", archive, error);
            }
            let what = if end == 0 {
                "is no tar archive, or its first header is damaged".to_owned()
            } else {
                format!("has a damaged header behind {last}")
            };
            corrupt(archive, what).with_source(error)
        };
        let mut entry = entry.map_err(unreadable)?;
        let records = records(&mut entry).map_err(unreadable)?;
        let sparse_name = records.sparse_name;
        let bytes = entry.path_bytes();
        let name = sparse_name.as_deref().unwrap_or(&bytes);
        last = show(name);
        let data = check_size(&entry, archive, &last)?;
        let after = data.end.next_multiple_of(BLOCK);
        if after > length {
            let what = format!(
                "is cut off: {last} ends at byte {}, and the file has {length}",
                data.end
            );
            return Err(corrupt(archive, what)
                .with_hint("it was not copied or written to its end; get it again"));
        }
        let member = Member {
            name,
            kind: if records.sparse {
                Kind::Sparse
            } else {
                kind(&entry)
            },
            data,
            whole: end..after,
        };
        visit(&member)?;
        end = after;
    }
    let mut trailer = [0; BLOCK as usize];
    let is_there = end + BLOCK <= length;
    if is_there {
        read_exact_at(file, &mut trailer, end).map_err(|error| failed("read", archive, error))?;
    }
    if !is_there || trailer != [0; BLOCK as usize] {
        let what = format!("is cut off behind {last}: the end of the archive is missing");
        return Err(corrupt(archive, what)
            .with_hint("it was not copied or written to its end; get it again"));
    }
    Ok(end)
}

/// The place of the content, if the size is one that a file can have.
fn check_size<R: Read>(
    entry: &tar::Entry<'_, R>,
    archive: &Path,
    name: &str,
) -> Result<Range<u64>> {
    let field = entry.header().as_old().size;
    // A number of more than 63 bits, or a negative one: a reader that looks at the lower bits only
    // sees another size.
    let is_huge = field[0] & 0x80 != 0 && field[..4] != [0x80, 0, 0, 0];
    let start = entry.raw_file_position();
    let end = start.checked_add(entry.size());
    match end.filter(|end| !is_huge && i64::try_from(*end).is_ok()) {
        Some(end) if end <= u64::MAX - BLOCK => Ok(start..end),
        _ => Err(corrupt(
            archive,
            format!("has a size that no file has for {name}"),
        )),
    }
}

fn kind<R: Read>(entry: &tar::Entry<'_, R>) -> Kind {
    let entry_type = entry.header().entry_type();
    if entry_type.is_file() {
        return Kind::File;
    }
    if entry_type.is_dir() {
        return Kind::Directory;
    }
    if entry_type.is_symlink() || entry_type.is_hard_link() {
        let target = entry.link_name_bytes().unwrap_or_default().into_owned();
        return Kind::Link {
            target,
            symbolic: entry_type.is_symlink(),
        };
    }
    if entry_type.is_gnu_sparse() {
        return Kind::Sparse;
    }
    Kind::Other
}

/// What the pax records of a member say that `tar` leaves to its caller.
#[derive(Default)]
struct Records {
    sparse: bool,
    sparse_name: Option<Vec<u8>>,
}

fn records<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Records> {
    let mut found = Records::default();
    if entry.header().entry_type().is_pax_global_extensions() {
        return Ok(found);
    }
    for record in entry.pax_extensions()?.into_iter().flatten() {
        let Ok(record) = record else { continue };
        found.sparse |= record.key_bytes().starts_with(b"GNU.sparse.");
        if record.key_bytes() == b"GNU.sparse.name" {
            found.sparse_name = Some(record.value_bytes().to_vec());
        }
    }
    Ok(found)
}

/// A file of which only headers are read, and not endlessly many for one member.
struct Headers<'a> {
    file: &'a File,
    allowance: &'a Cell<u64>,
}

impl Read for Headers<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.allowance.get();
        if left == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the headers of one member have more than {MAX_HEADERS} bytes"),
            ));
        }
        let wanted = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let got = self.file.read(&mut buffer[..wanted])?;
        self.allowance.set(left - got as u64);
        Ok(got)
    }
}

impl Seek for Headers<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}
