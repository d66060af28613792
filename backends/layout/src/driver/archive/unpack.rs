//! Decompresses an archive that is compressed as a whole to a temporary file without a name.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::Path;

use tranship::decompress::{Compression, Decompressor};
use tranship::{Error, ErrorKind, Result};

use super::scan::corrupt;
use crate::driver::file::failed;
use crate::driver::position::read_exact_at;

/// How many compressed bytes are read at a time.
const PIECE: usize = 256 * 1024;

/// Returns how the content of a file is compressed, from `position` to `end`.
pub(super) fn compression_of(
    file: &File,
    position: u64,
    end: u64,
) -> io::Result<Option<Compression>> {
    let mut start = [0; 4];
    let length = end.saturating_sub(position).min(4);
    let start = &mut start[..usize::try_from(length).unwrap_or_default()];
    read_exact_at(file, start, position)?;
    Ok(Compression::detect(start))
}

/// How many bytes are written between two checks of the free space.
const CHECK_INTERVAL: u64 = 64 * 1024 * 1024;

/// Decompresses `file`, the archive at `path`, into a temporary file without a name, which is deleted when it is
/// closed. At most `limit` bytes are written, and the last twentieth of the disk is left free.
///
/// # Errors
/// `Corrupt` if the content cannot be decompressed, `StorageFull` if the disk has too little space, `SizeExceedsLimit` if
/// it has more than `limit` bytes.
pub(super) fn unpack(
    file: &File,
    path: &Path,
    compression: Compression,
    limit: u64,
) -> Result<File> {
    let directory = std::env::temp_dir();
    let cannot_write = |error| {
        let error = failed("written", &directory, error);
        if error.kind() == ErrorKind::StorageFull {
            return error.with_hint(
                "the archive is compressed and is decompressed there to be read; free some space, or \
                 set TMPDIR to a directory that has it",
            );
        }
        error
    };
    let to = tempfile::tempfile_in(&directory).map_err(cannot_write)?;
    // An error of the system comes from the file that is written to.
    let cannot_decompress = |error: io::Error| {
        if error.kind() == io::ErrorKind::FileTooLarge {
            return Error::new(
                ErrorKind::SizeExceedsLimit,
                format!("decompresses to more than the limit of {limit} bytes"),
            )
            .with_subject(path.display())
            .with_hint(
                "raise the limit with --max-unpacked-size (LayoutOptions::with_max_unpacked_size) if you trust the \
                 archive",
            );
        }
        if error.raw_os_error().is_some() || error.kind() == io::ErrorKind::StorageFull {
            return cannot_write(error);
        }
        corrupt(
            path,
            "is compressed, and the compressed data is damaged or cut off",
        )
        .with_source(error)
    };
    let mut from = file;
    let mut decompressor = Decompressor::new(
        Some(compression),
        LimitedFile {
            file: to,
            written: 0,
            next_check: CHECK_INTERVAL,
            limit,
            is_nearly_full,
        },
    );
    let mut buffer = vec![0; PIECE];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => {
                let finished = decompressor.finish().map_err(cannot_decompress)?;
                return Ok(finished.file);
            }
            Ok(length) => decompressor
                .write_all(&buffer[..length])
                .map_err(cannot_decompress)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed("read", path, error)),
        }
    }
}

/// A file that neither exceeds a limit nor fills the disk.
struct LimitedFile {
    file: File,
    written: u64,
    /// How many bytes are written before the next check of the free space.
    next_check: u64,
    limit: u64,
    is_nearly_full: fn(&File) -> bool,
}

impl Write for LimitedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let after = self.written.saturating_add(bytes.len() as u64);
        if after > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if after >= self.next_check {
            self.next_check = after.saturating_add(CHECK_INTERVAL);
            if (self.is_nearly_full)(&self.file) {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        let length = self.file.write(bytes)?;
        self.written += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Returns whether less than a twentieth of the file system is free, or less than is written between two checks.
#[cfg(unix)]
fn is_nearly_full(file: &File) -> bool {
    rustix::fs::fstatvfs(file).is_ok_and(|disk| {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        free < CHECK_INTERVAL || disk.f_bavail < disk.f_blocks / 20
    })
}

#[cfg(not(unix))]
fn is_nearly_full(_: &File) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use flate2::Compression as Level;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn a_disk_is_not_filled_completely() {
        let file = |is_nearly_full| LimitedFile {
            file: tempfile::tempfile().expect("a file"),
            written: 0,
            next_check: 10,
            limit: 2 * CHECK_INTERVAL,
            is_nearly_full,
        };
        let mut nearly_full = file(|_| true);
        nearly_full.write_all(&[0; 9]).expect("not looked at yet");
        let error = nearly_full.write_all(&[0; 9]).expect_err("nearly full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(nearly_full.written, 9);
        let mut roomy = file(|_| false);
        roomy.write_all(&[0; 100]).expect("room");
        assert_eq!(roomy.next_check, 100 + CHECK_INTERVAL);
    }

    #[test]
    fn an_archive_is_not_decompressed_beyond_the_limit() {
        let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
        encoder.write_all(&[0; 100_000]).expect("in memory");
        let mut file = tempfile::tempfile().expect("a file");
        let content = encoder.finish().expect("in memory");
        file.write_all(&content).expect("written");
        let unpack = |limit| {
            let mut file = &file;
            io::Seek::rewind(&mut file).expect("a file");
            unpack(file, Path::new("a.tar.gz"), Compression::Gzip, limit)
        };
        let sound = unpack(100_000).expect("within the limit");
        assert_eq!(sound.metadata().expect("a file").len(), 100_000);
        let error = unpack(99_999).expect_err("too large");
        assert_eq!(error.kind(), ErrorKind::SizeExceedsLimit);
        assert!(error.to_string().contains("a.tar.gz"), "{error}");
    }
}
