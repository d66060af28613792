//! Reads every header of a tar file once. The content of members is skipped.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use tranship::{Error, Result};

/// The size of a block of a tar file, in bytes.
pub const BLOCK: u64 = 512;

/// How many bytes the headers of one member may have: long names and pax records are read whole.
const MAX_HEADERS: u64 = 1024 * 1024;

/// One member, as its headers describe it.
#[derive(Debug)]
pub struct Member<'a> {
    /// Its name, with the pax records applied.
    pub name: &'a [u8],
    /// What it is.
    pub kind: MemberKind,
    /// The position of its content.
    pub data: Range<u64>,
    /// The position of the member with all its headers and its padding.
    pub whole: Range<u64>,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, or a hard link, whose target is relative to the root of the archive.
    Link {
        /// The target, as it is written in the header.
        target: Vec<u8>,
        /// Whether it is a symbolic link.
        symbolic: bool,
    },
    /// A file that is stored without its holes.
    Sparse,
    /// A device or the like.
    Other,
}

/// Why a file could not be scanned. The texts follow the name of the file in messages.
#[derive(Debug)]
pub enum ScanError {
    /// The file cannot be read.
    Io(io::Error),
    /// A header is damaged, or the file is not a tar file.
    Header(String),
    /// The file is empty, or a size is impossible.
    Corrupt(String),
    /// The file ends before the archive does. All members before that were visited.
    CutOff(String),
    /// The visitor failed.
    Visit(Error),
}

/// Returns the name of a member for messages, in quotation marks.
#[must_use]
pub fn quoted(name: &[u8]) -> String {
    const LONGEST: usize = 160;
    let shown = name.get(..LONGEST).unwrap_or(name);
    format!("{:?}", String::from_utf8_lossy(shown))
}

/// Calls `visit` with each member of the tar file `file`, and returns the end of the last one, in bytes. Only headers are
/// read, so it changes the position of the file, and blocks.
///
/// # Errors
/// Says in which way the file is not a whole tar file; [`Visit`](ScanError::Visit) has what `visit` fails with.
pub fn scan(
    mut file: &File,
    mut visit: impl FnMut(&Member<'_>) -> Result<()>,
) -> Result<u64, ScanError> {
    let length = file.metadata().map_err(ScanError::Io)?.len();
    if length == 0 {
        return Err(ScanError::Corrupt("is empty, and not an archive".into()));
    }
    file.rewind().map_err(ScanError::Io)?;
    let allowance = Cell::new(0);
    let mut tar = tar::Archive::new(HeaderReader {
        file,
        allowance: &allowance,
    });
    let mut entries = tar.entries_with_seek().map_err(ScanError::Io)?;
    let mut end = 0;
    let mut last = String::from("the beginning");
    loop {
        allowance.set(MAX_HEADERS);
        let Some(entry) = entries.next() else { break };
        let unreadable = |error: io::Error| {
            if error.raw_os_error().is_some() {
                return ScanError::Io(error);
            }
            // The error of the tar reader quotes bytes of the file, which may be any file.
            if end == 0 {
                let what = "is not a tar archive, or its first header is damaged";
                return ScanError::Header(what.into());
            }
            // A part of a header may be all that is left.
            if length - end < BLOCK {
                return ScanError::CutOff(format!("is cut off after {last}"));
            }
            ScanError::Header(format!("has a damaged header after {last}"))
        };
        let mut entry = entry.map_err(unreadable)?;
        let records = records(&mut entry).map_err(unreadable)?;
        let sparse_name = records.sparse_name;
        let bytes = entry.path_bytes();
        let name = sparse_name.as_deref().unwrap_or(&bytes);
        last = quoted(name);
        let data = data_range(&entry, &last)?;
        let after = data.end.next_multiple_of(BLOCK);
        if after > length {
            return Err(ScanError::CutOff(format!(
                "is cut off: {last} ends at byte {}, and the file has {length}",
                data.end
            )));
        }
        let kind = match records.sparse {
            true => MemberKind::Sparse,
            false => kind(&entry),
        };
        let member = Member {
            name,
            kind,
            data,
            whole: end..after,
        };
        visit(&member).map_err(ScanError::Visit)?;
        end = after;
    }
    let mut trailer = [0; BLOCK as usize];
    let is_there = end + BLOCK <= length;
    if is_there {
        file.seek(SeekFrom::Start(end)).map_err(ScanError::Io)?;
        file.read_exact(&mut trailer).map_err(ScanError::Io)?;
    }
    if !is_there || trailer != [0; BLOCK as usize] {
        return Err(ScanError::CutOff(format!(
            "is cut off after {last}: the end of the archive is missing"
        )));
    }
    Ok(end)
}

/// Returns the position of the content.
///
/// # Errors
/// `Corrupt` if no file can have the size.
fn data_range<R: Read>(entry: &tar::Entry<'_, R>, name: &str) -> Result<Range<u64>, ScanError> {
    let field = entry.header().as_old().size;
    // A number of more than 63 bits, or a negative one. Readers that use only the lower bits get another size.
    let is_huge = field[0] & 0x80 != 0 && field[..4] != [0x80, 0, 0, 0];
    let start = entry.raw_file_position();
    let end = start.checked_add(entry.size());
    match end.filter(|end| !is_huge && i64::try_from(*end).is_ok()) {
        Some(end) if end <= u64::MAX - BLOCK => Ok(start..end),
        _ => Err(ScanError::Corrupt(format!(
            "has an impossible size for {name}"
        ))),
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
