//! Reads every header of a tar file once. The content of members is skipped.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use tranship::{Error, ErrorKind, Result};

use super::tar_header::BLOCK;

/// How many bytes the headers of one member may have: long names and pax records are read whole.
const MAX_HEADERS: u64 = 1024 * 1024;

/// The most members. A bundle has at most two for each piece of content, and a few others.
const MAX_MEMBERS: u64 = 2_100_000;

/// One member, as its headers describe it.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) name: &'a [u8],
    pub(super) kind: MemberKind,
    /// The position of its content.
    pub(super) data: Range<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberKind {
    File,
    Directory,
    Link,
    /// A file that is stored without its holes.
    Sparse,
    /// A device or the like.
    Other,
}

/// How a scan has ended.
#[derive(Debug)]
pub(super) enum Ended {
    Whole,
    /// The file is cut off; the error says where.
    CutOff(Error),
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

/// Calls `visit` with each member of the tar file `file`. The subject of errors is `archive`.
///
/// # Errors
/// `Corrupt` if the file is not a tar file, `Unsupported` if it is compressed, and what `visit` fails with.
pub(super) fn scan(
    file: &File,
    archive: &Path,
    visit: impl FnMut(&Member<'_>) -> Result<()>,
) -> Result<Ended> {
    scan_up_to(MAX_MEMBERS, file, archive, visit)
}

fn scan_up_to(
    max_members: u64,
    file: &File,
    archive: &Path,
    mut visit: impl FnMut(&Member<'_>) -> Result<()>,
) -> Result<Ended> {
    let failed = |error| Error::io("cannot be read", error).with_subject(archive.display());
    let length = file.metadata().map_err(failed)?.len();
    if length == 0 {
        return Err(corrupt(archive, "is empty, and not an archive"));
    }
    let mut file = file;
    check_compression(file, archive)?;
    file.rewind().map_err(failed)?;
    let allowance = Cell::new(0);
    let mut tar = tar::Archive::new(HeaderReader {
        file,
        allowance: &allowance,
    });
    let mut entries = tar.entries_with_seek().map_err(failed)?;
    let cut_off = |what: String| {
        let error = corrupt(archive, what);
        Ok(Ended::CutOff(error.with_hint(
            "it was not copied or written to its end; get it again",
        )))
    };
    let mut end = 0;
    let mut last = String::from("the beginning");
    let mut members = 0;
    loop {
        allowance.set(MAX_HEADERS);
        let Some(entry) = entries.next() else { break };
        members += 1;
        if members > max_members {
            let message = format!("has more than {max_members} members");
            return Err(
                Error::new(ErrorKind::SizeExceedsLimit, message).with_subject(archive.display())
            );
        }
        let unreadable = |error: io::Error| {
            if error.raw_os_error().is_some() {
                return failed(error);
            }
            let what = if end == 0 {
                "is not a tar archive, or its first header is damaged".to_owned()
            } else {
                format!("has a damaged header after {last}")
            };
            // The error of the tar reader quotes bytes of the file, which may be any file.
            corrupt(archive, what)
        };
        let entry = match entry {
            // A part of a header is all that is left.
            Err(_) if end > 0 && length - end < BLOCK => {
                return cut_off(format!("is cut off after {last}"));
            }
            entry => entry,
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
            return cut_off(what);
        }
        let kind = match records.sparse {
            true => MemberKind::Sparse,
            false => kind(&entry),
        };
        visit(&Member { name, kind, data })?;
        end = after;
    }
    let mut trailer = [0; BLOCK as usize];
    let is_there = end + BLOCK <= length;
    if is_there {
        file.seek(SeekFrom::Start(end)).map_err(failed)?;
        file.read_exact(&mut trailer).map_err(failed)?;
    }
    if !is_there || trailer != [0; BLOCK as usize] {
        return cut_off(format!(
            "is cut off after {last}: the end of the archive is missing"
        ));
    }
    Ok(Ended::Whole)
}

/// Reads the beginning of the file.
///
/// # Errors
/// `Unsupported` if it is compressed.
fn check_compression(mut file: &File, archive: &Path) -> Result<()> {
    const MAGIC: [(&[u8], &str); 5] = [
        (&[0x1f, 0x8b], "gzip -d"),
        (&[0x28, 0xb5, 0x2f, 0xfd], "zstd -d"),
        (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz -d"),
        (b"BZh", "bzip2 -d"),
        (&[0x04, 0x22, 0x4d, 0x18], "lz4 -d"),
    ];
    let mut head = Vec::new();
    let begin = file
        .rewind()
        .and_then(|()| file.take(8).read_to_end(&mut head));
    begin.map_err(|error| Error::io("cannot be read", error).with_subject(archive.display()))?;
    match MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        None => Ok(()),
        Some((_, program)) => Err(Error::unsupported(
            "is compressed, and a bundle is read at many positions",
        )
        .with_subject(archive.display())
        .with_hint(format!(
            "decompress it first, with {program}; the layers in it are compressed anyway"
        ))),
    }
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
        MemberKind::File
    } else if entry_type.is_dir() {
        MemberKind::Directory
    } else if entry_type.is_symlink() || entry_type.is_hard_link() {
        MemberKind::Link
    } else if entry_type.is_gnu_sparse() {
        MemberKind::Sparse
    } else {
        MemberKind::Other
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::tar_header::{TRAILER, header};
    use std::io::Write as _;

    fn archive(members: &[(&str, u64)]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        for (name, size) in members {
            file.write_all(&header(name, *size).expect("a header"))
                .expect("written");
            let end = file.stream_position().expect("a position") + size.next_multiple_of(BLOCK);
            file.set_len(end).expect("sparse");
            file.seek(SeekFrom::Start(end)).expect("a position");
        }
        file.write_all(TRAILER).expect("written");
        file
    }

    #[test]
    fn names_and_sizes_are_read_as_they_were_written() {
        let long = format!("blobs/sha512/{}", "0a".repeat(64));
        let members = [("bundle.json", 5), (&*long, 7), ("large", 1 << 34)];
        let mut found = Vec::new();
        let ended = scan(&archive(&members), Path::new("x.tar"), |member| {
            let name = String::from_utf8_lossy(member.name).into_owned();
            found.push((name, member.data.end - member.data.start));
            Ok(())
        });
        assert!(matches!(ended, Ok(Ended::Whole)));
        let expected: Vec<_> = members
            .iter()
            .map(|(name, size)| ((*name).to_owned(), *size))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn too_many_members_are_refused() {
        let file = archive(&[("a", 0), ("b", 0), ("c", 0)]);
        let scanned = |most| scan_up_to(most, &file, Path::new("x.tar"), |_| Ok(()));
        assert!(scanned(3).is_ok());
        assert_eq!(
            scanned(2).expect_err("too many").kind(),
            ErrorKind::SizeExceedsLimit
        );
    }

    #[test]
    fn a_compressed_archive_is_refused_with_a_hint() {
        for magic in [&b"\x1f\x8b\x08\0"[..], b"\x28\xb5\x2f\xfd", b"BZh9"] {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(magic).expect("written");
            let error = scan(&file, Path::new("x.tar"), |_| Ok(())).expect_err("compressed");
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.hint().is_some());
        }
    }
}
