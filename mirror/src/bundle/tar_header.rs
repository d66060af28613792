//! The headers of members. They depend only on the name and the size.

use std::io;

use bytes::Bytes;
use tar::{Builder, EntryType, Header};
use tranship::{Error, Result};

/// The size of a block of a tar file, in bytes.
pub(super) const BLOCK: u64 = 512;

/// Two empty blocks end an archive.
pub(super) const TRAILER: &[u8; 1024] = &[0; 1024];

/// The longest name that fits into a header, in bytes.
const MAX_NAME: usize = 100;

/// The largest size that fits into a header, in bytes.
const MAX_SIZE: u64 = 0o77_777_777_777;

/// Returns the header of a file of `size` bytes, after a pax header if the name or the size do not fit into it.
pub(super) fn header(name: &str, size: u64) -> Result<Bytes> {
    let built = build(name, size).map(Bytes::from);
    built.map_err(|error| {
        Error::io("cannot create the header of a member", error).with_subject(name)
    })
}

/// Returns the length of the header, in bytes.
pub(super) fn header_length(name: &str, size: u64) -> u64 {
    let records = [name.len() > MAX_NAME, size > MAX_SIZE];
    if records.contains(&true) {
        // The pax header, its records in one block, and the header itself.
        3 * BLOCK
    } else {
        BLOCK
    }
}

/// Returns how many bytes a member takes, with its header and its padding.
pub(super) fn member_length(name: &str, size: u64) -> u64 {
    header_length(name, size) + size.next_multiple_of(BLOCK)
}

/// Returns the bytes between the end of content and the next block.
pub(super) fn padding(size: u64) -> Bytes {
    let length = usize::try_from(size.next_multiple_of(BLOCK) - size).unwrap_or_default();
    Bytes::from_static(&TRAILER[..length])
}

fn build(name: &str, size: u64) -> io::Result<Vec<u8>> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
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
    use super::*;

    #[test]
    fn the_length_of_a_header_is_known_before_it_is_made() {
        let long = format!("blobs/sha512/{}", "0a".repeat(64));
        for name in ["bundle.json", &long] {
            for size in [0, 1, MAX_SIZE, MAX_SIZE + 1, 1 << 62] {
                let made = header(name, size).expect("a header");
                assert_eq!(
                    made.len() as u64,
                    header_length(name, size),
                    "{name} {size}"
                );
            }
        }
    }
}
