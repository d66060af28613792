//! A part of a file that one stand-in represents.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::{ReadWriteFlags, preadv2};
use tranship::{Error, Result, blocking};

/// The most bytes of a file that one stand-in represents. More would only keep a thread busy for longer.
pub(crate) const MAX_LENGTH: usize = 256 * 1024;

/// What stand-ins consist of. The bytes are never sent.
static STAND_IN: [u8; MAX_LENGTH] = [0; MAX_LENGTH];

/// How many bytes at either end of a stand-in are compared.
const COMPARED: usize = 64;

#[derive(Debug)]
pub(crate) struct Part {
    file: Arc<File>,
    start: u64,
    length: usize,
    sent: AtomicUsize,
}

impl Part {
    /// Returns the bytes `range` of `file`, at most [`MAX_LENGTH`], when they are in the page cache.
    pub(crate) async fn load(file: Arc<File>, range: Range<u64>) -> Result<Self> {
        let start = range.start;
        let length = usize::try_from(range.end - range.start).unwrap_or(MAX_LENGTH);
        // If only bytes between the two are missing, which is rare, the sending thread waits for the disk.
        let is_loaded = is_in_memory(&file, start) && is_in_memory(&file, range.end - 1);
        if !is_loaded {
            let reader = Arc::clone(&file);
            blocking::run(move || {
                let read = read_through(&reader, range);
                read.map_err(|error| Error::io("the file cannot be read", error))
            })
            .await?;
        }
        Ok(Self {
            file,
            start,
            length: length.min(MAX_LENGTH),
            sent: AtomicUsize::new(0),
        })
    }

    pub(crate) fn stand_in(&self) -> &'static [u8] {
        &STAND_IN[..self.length]
    }

    /// Returns how many bytes have not been sent.
    pub(crate) fn left(&self) -> usize {
        self.length
            .saturating_sub(self.sent.load(Ordering::Acquire))
    }

    /// Returns whether nothing has been sent.
    pub(crate) fn is_unsent(&self) -> bool {
        self.sent.load(Ordering::Acquire) == 0
    }

    /// Returns whether `bytes` can be what is left of the stand-in.
    ///
    /// They are in its position, so this only has to find bodies that a layer has changed. One that is compressed, cut
    /// or encoded has another length or other ends. To compare all bytes would take as long as the sending.
    pub(crate) fn is_stand_in(&self, bytes: &[u8]) -> bool {
        let compared = bytes.len().min(COMPARED);
        let (first, last) = (&bytes[..compared], &bytes[bytes.len() - compared..]);
        let expected = &STAND_IN[..compared];
        bytes.len() == self.left() && first == expected && last == expected
    }

    /// Makes the system send up to `most` bytes to a non-blocking socket, and returns how many.
    pub(crate) fn send(&self, socket: impl AsFd, most: usize) -> io::Result<usize> {
        let mut position = self.position();
        let sent = rustix::fs::sendfile(socket, &self.file, Some(&mut position), most)?;
        if sent == 0 {
            return Err(too_short());
        }
        self.advance(sent);
        Ok(sent)
    }

    /// Reads the next bytes into `buffer`, and returns how many.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.file.read_at(buffer, self.position())? {
            0 => Err(too_short()),
            read => Ok(read),
        }
    }

    /// Records that `count` more bytes have been sent.
    pub(crate) fn advance(&self, count: usize) {
        self.sent.fetch_add(count, Ordering::AcqRel);
    }

    fn position(&self) -> u64 {
        self.start + self.sent.load(Ordering::Acquire) as u64
    }
}

fn too_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter")
}

/// Returns whether the byte at `position` can be read without waiting for a disk, as far as the system can tell.
fn is_in_memory(file: &File, position: u64) -> bool {
    let mut byte = [0];
    let mut slices = [IoSliceMut::new(&mut byte)];
    let read = preadv2(file, &mut slices, position, ReadWriteFlags::NOWAIT);
    read.is_ok_and(|read| read > 0)
}

/// Reads `range` into the page cache.
fn read_through(file: &File, range: Range<u64>) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    let mut position = range.start;
    while position < range.end {
        match file.read_at(&mut buffer, position) {
            Ok(0) => return Err(too_short()),
            Ok(read) => position += read as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_has_become_shorter_is_an_error_before_it_is_sent() {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(100_000).expect("set");
        let file = Arc::new(file);
        assert!(Part::load(Arc::clone(&file), 0..100_000).await.is_ok());
        file.set_len(99_999).expect("set");
        assert!(Part::load(file, 0..100_000).await.is_err());
    }
}
