//! Reads every header of a tar file once. The content of members is skipped.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use tranship::{Error, ErrorKind, Result};

use crate::driver::file::failed;
use crate::driver::position::read_exact_at;

/// The size of a block of a tar file, in bytes.
pub(super) const BLOCK: u64 = 512;

/// How many bytes the headers of one member may have: long names and pax records are read whole.
const MAX_HEADERS: u64 = 1024 * 1024;

/// One member, as its headers describe it.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) name: &'a [u8],
    pub(super) kind: MemberKind,
    /// The position of its content.
    pub(super) data: Range<u64>,
    /// The position of the member with all its headers and its padding.
    pub(super) whole: Range<u64>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum MemberKind {
    File,
    Directory,
    /// A symbolic link, or a hard link, whose target is relative to the root of the archive.
    Link {
        target: Vec<u8>,
        symbolic: bool,
    },
    /// A file that is stored without its holes.
    Sparse,
    /// A device or the like.
    Other,
}

/// Returns the error for a damaged archive.
pub(super) fn corrupt(archive: &Path, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, message.into()).with_subject(archive.display())
}

/// Returns the name of a member for messages, in quotation marks.
pub(super) fn quoted(name: &[u8]) -> String {
    const LONGEST: usize = 160;
    let shown = name.get(..LONGEST).unwrap_or(name);
    format!("{:?}", String::from_utf8_lossy(shown))
}

/// Calls `visit` with each member of the tar file `file`, and returns the end of the last one. The subject of errors is
/// `archive`.
///
/// # Errors
/// `Corrupt` if the file is truncated or not a tar file.
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
        return Err(corrupt(archive, "is empty, and not an archive"));
    }
    let allowance = Cell::new(0);
    let mut file = file;
    file.rewind()
        .map_err(|error| failed("read", archive, error))?;
    let mut tar = tar::Archive::new(HeaderReader {
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
                "is not a tar archive, or its first header is damaged".to_owned()
            } else {
                format!("has a damaged header after {last}")
            };
            // The error of the tar reader quotes bytes of the file, which may be any file.
            corrupt(archive, what).with_hint("expected a tar archive, compressed or not")
        };
        let mut entry = entry.map_err(unreadable)?;
        let records = records(&mut entry).map_err(unreadable)?;
        let sparse_name = records.sparse_name;
        let bytes = entry.path_bytes();
        let name = sparse_name.as_deref().unwrap_or(&bytes);
        last = quoted(name);
        let data = data_range(&entry, archive, &last)?;
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
                MemberKind::Sparse
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
        let what = format!("is cut off after {last}: the end of the archive is missing");
        return Err(corrupt(archive, what)
            .with_hint("it was not copied or written to its end; get it again"));
    }
    Ok(end)
}

/// Returns the position of the content.
///
/// # Errors
/// `Corrupt` if no file can have the size.
fn data_range<R: Read>(
    entry: &tar::Entry<'_, R>,
    archive: &Path,
    name: &str,
) -> Result<Range<u64>> {
    let field = entry.header().as_old().size;
    // A number of more than 63 bits, or a negative one. Readers that use only the lower bits get another size.
    let is_huge = field[0] & 0x80 != 0 && field[..4] != [0x80, 0, 0, 0];
    let start = entry.raw_file_position();
    let end = start.checked_add(entry.size());
    match end.filter(|end| !is_huge && i64::try_from(*end).is_ok()) {
        Some(end) if end <= u64::MAX - BLOCK => Ok(start..end),
        _ => Err(corrupt(
            archive,
            format!("has an impossible size for {name}"),
        )),
    }
}

fn kind<R: Read>(entry: &tar::Entry<'_, R>) -> MemberKind {
    let entry_type = entry.header().entry_type();
    if entry_type.is_file() {
        return MemberKind::File;
    }
    if entry_type.is_dir() {
        return MemberKind::Directory;
    }
    if entry_type.is_symlink() || entry_type.is_hard_link() {
        let target = entry.link_name_bytes().unwrap_or_default().into_owned();
        return MemberKind::Link {
            target,
            symbolic: entry_type.is_symlink(),
        };
    }
    if entry_type.is_gnu_sparse() {
        return MemberKind::Sparse;
    }
    MemberKind::Other
}

/// The pax records of a member that the crate `tar` does not interpret.
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

/// A file of which only headers are read, with a limit for each member.
struct HeaderReader<'a> {
    file: &'a File,
    allowance: &'a Cell<u64>,
}

impl Read for HeaderReader<'_> {
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

impl Seek for HeaderReader<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}
