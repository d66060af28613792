//! Finds the members of a volume.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;

use tranship::{Error, ErrorKind, Result};
use tranship_tar::{Member, ScanError};

/// The most members. A bundle has at most two for each piece of content, and a few others.
const MAX_MEMBERS: u64 = 2_100_000;

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
    check_compression(file, archive)?;
    let mut members = 0;
    let scanned = tranship_tar::scan(file, |member| {
        members += 1;
        if members > max_members {
            let message = format!("has more than {max_members} members");
            return Err(
                Error::new(ErrorKind::SizeExceedsLimit, message).with_subject(archive.display())
            );
        }
        visit(member)
    });
    match scanned {
        Ok(_) => Ok(Ended::Whole),
        Err(ScanError::CutOff(what)) => Ok(Ended::CutOff(
            corrupt(archive, what)
                .with_hint("it was not copied or written to its end; get it again"),
        )),
        Err(ScanError::Header(what) | ScanError::Corrupt(what)) => Err(corrupt(archive, what)),
        Err(ScanError::Io(error)) => {
            Err(Error::io("cannot be read", error).with_subject(archive.display()))
        }
        Err(ScanError::Visit(error)) => Err(error),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{SeekFrom, Write as _};
    use tranship_tar::{BLOCK, TRAILER};

    fn archive(members: &[(&str, u64)]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        for (name, size) in members {
            file.write_all(&tranship_tar::file_header(name, *size).expect("a header"))
                .expect("written");
            let end = file.stream_position().expect("a position") + size.next_multiple_of(BLOCK);
            file.set_len(end).expect("sparse");
            file.seek(SeekFrom::Start(end)).expect("a position");
        }
        file.write_all(&TRAILER).expect("written");
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
