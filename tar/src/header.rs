//! The headers of new members. They depend only on the name and the size.

use std::io;

use tar::{Builder, EntryType, Header};
use tranship::{Error, Result};

use crate::scan::BLOCK;

/// Two empty blocks end an archive.
pub const TRAILER: [u8; 2 * BLOCK as usize] = [0; 2 * BLOCK as usize];

/// The longest name that fits into a header, in bytes.
const MAX_NAME: usize = 100;

/// The largest size that fits into a header, in bytes.
const MAX_SIZE: u64 = 0o77_777_777_777;

/// Returns the header of a file of `size` bytes, after a pax header if the name or the size do not fit into it.
///
/// # Errors
/// Of the kind of its [`io::Error`] if a header cannot have the name, which is the subject.
pub fn file_header(name: &str, size: u64) -> Result<Vec<u8>> {
    header(name, size, EntryType::Regular)
}

/// Returns how many bytes the header has that [`file_header`] returns.
#[must_use]
pub fn header_length(name: &str, size: u64) -> u64 {
    if name.len() > MAX_NAME || size > MAX_SIZE {
        // The pax header, its records in one block, and the header itself.
        3 * BLOCK
    } else {
        BLOCK
    }
}

/// Returns how many bytes a file of `size` bytes takes in an archive, with its header and its padding.
#[must_use]
pub fn member_length(name: &str, size: u64) -> u64 {
    header_length(name, size) + size.next_multiple_of(BLOCK)
}

/// Returns the header of a file in one block, whatever its size in bytes, for a file whose content is written before its
/// header. `name` has at most 100 bytes.
///
/// # Errors
/// As for [`file_header`], and if the name is longer.
pub fn file_header_in_one_block(name: &str, size: u64) -> Result<Vec<u8>> {
    if size <= MAX_SIZE {
        return file_header(name, size);
    }
    // The GNU format for large sizes. Docker reads it.
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header
        .set_path(name)
        .map_err(|error| Error::io("cannot create the header of a member", error))?;
    header.set_cksum();
    Ok(header.as_bytes().to_vec())
}

/// Returns the header of a directory, whose name ends with a slash.
///
/// # Errors
/// As for [`file_header`].
pub fn directory_header(name: &str) -> Result<Vec<u8>> {
    header(name, 0, EntryType::Directory)
}

/// Returns the bytes between the end of content, in bytes from the beginning of a block, and the next block.
#[must_use]
pub fn padding(end: u64) -> &'static [u8] {
    static ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
    let length = usize::try_from(end.next_multiple_of(BLOCK) - end).unwrap_or_default();
    &ZEROS[..length]
}

fn header(name: &str, size: u64, entry_type: EntryType) -> Result<Vec<u8>> {
    build(name, size, entry_type).map_err(|error| {
        Error::io("cannot create the header of a member", error).with_subject(name)
    })
}

fn build(name: &str, size: u64, entry_type: EntryType) -> io::Result<Vec<u8>> {
    let mut header = Header::new_ustar();
    header.set_entry_type(entry_type);
    header.set_mode(if entry_type.is_dir() { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    // As Go does. The crate `tar` leaves the fields empty.
    header.set_device_major(0)?;
    header.set_device_minor(0)?;
    let decimal = size.to_string();
    let mut records = Vec::new();
    if name.len() > MAX_NAME {
        records.push(("path", name.as_bytes()));
    }
    if size > MAX_SIZE {
        records.push(("size", decimal.as_bytes()));
    }
    header.set_path(name.get(..MAX_NAME).unwrap_or(name))?;
    header.set_size(if size > MAX_SIZE { 0 } else { size });
    header.set_cksum();
    let mut builder = Builder::new(Vec::new());
    builder.append_pax_extensions(records)?;
    let mut bytes = builder.into_inner()?;
    bytes.truncate(bytes.len() - TRAILER.len());
    bytes.extend_from_slice(header.as_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::scan::scan;

    fn scanned(header: &[u8], size: u64) -> (String, u64, u64) {
        let mut file = tempfile::tempfile().expect("a file");
        file.set_len(header.len() as u64 + size.next_multiple_of(BLOCK) + TRAILER.len() as u64)
            .expect("sparse");
        file.write_all(header).expect("written");
        let mut found = None;
        scan(&file, |member| {
            let name = String::from_utf8_lossy(member.name).into_owned();
            found = Some((name, member.data.start, member.data.end - member.data.start));
            Ok(())
        })
        .expect("sound");
        found.expect("a member")
    }

    #[test]
    fn a_plain_header_is_one_block() {
        let header = file_header("blobs/sha256/x", 5).expect("a header");
        assert_eq!(header.len(), 512);
        assert_eq!(scanned(&header, 5), ("blobs/sha256/x".into(), 512, 5));
    }

    #[test]
    fn a_name_that_does_not_fit_gets_a_record() {
        let name = format!("blobs/sha512/{}", "0a".repeat(64));
        let header = file_header(&name, 7).expect("a header");
        assert_eq!(scanned(&header, 7), (name, header.len() as u64, 7));
    }

    #[test]
    fn a_block_holds_every_size() {
        for size in [1, MAX_SIZE, MAX_SIZE + 1, 1 << 36] {
            let header = file_header_in_one_block("x.tar", size).expect("a header");
            assert_eq!(scanned(&header, size), ("x.tar".into(), 512, size));
        }
    }

    #[test]
    fn sizes_from_8_gib_on_get_a_record() {
        for size in [MAX_SIZE, MAX_SIZE + 1, 1 << 36] {
            let header = file_header("x", size).expect("a header");
            assert_eq!(
                scanned(&header, size),
                ("x".into(), header.len() as u64, size)
            );
        }
    }

    #[test]
    fn the_length_of_a_header_is_known_before_it_is_made() {
        let long = format!("blobs/sha512/{}", "0a".repeat(64));
        for name in ["bundle.json", &long] {
            for size in [0, 1, MAX_SIZE, MAX_SIZE + 1, 1 << 62] {
                let made = file_header(name, size).expect("a header");
                assert_eq!(
                    made.len() as u64,
                    header_length(name, size),
                    "{name} {size}"
                );
            }
        }
    }
}
