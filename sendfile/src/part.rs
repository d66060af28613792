//! A part of a file that one stand-in is for.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::{ReadWriteFlags, preadv2};
use tranship::{Error, ErrorKind, Result};

use crate::outlet::PIECE;

/// What all stand-ins lie in. Only where they lie and how long they are means anything.
static STAND_IN: [u8; PIECE] = [0; PIECE];

pub(crate) fn is_stand_in(bytes: &[u8]) -> bool {
    STAND_IN.as_ptr_range().contains(&bytes.as_ptr())
}

#[derive(Debug)]
pub(crate) struct Part {
    file: Arc<File>,
    start: u64,
    length: usize,
    sent: AtomicUsize,
}

impl Part {
    /// The bytes `range` of `file`, [`PIECE`] at the most, when the system has them in memory.
    pub(crate) async fn load(file: Arc<File>, range: Range<u64>) -> Result<Self> {
        let start = range.start;
        let length = usize::try_from(range.end - range.start).unwrap_or(PIECE);
        // A hole between the two is rare, and then a thread waits for the disk.
        let is_loaded = is_in_memory(&file, start) && is_in_memory(&file, range.end - 1);
        if !is_loaded {
            let reader = Arc::clone(&file);
            let read = tokio::task::spawn_blocking(move || read_through(&reader, range));
            read.await
                .map_err(|error| {
                    Error::new(ErrorKind::Io, "a read was cut short").with_source(error)
                })?
                .map_err(|error| Error::io("the file cannot be read", error))?;
        }
        Ok(Self {
            file,
            start,
            length: length.min(PIECE),
            sent: AtomicUsize::new(0),
        })
    }

    pub(crate) fn stand_in(&self) -> &'static [u8] {
        &STAND_IN[..self.length]
    }

    /// How many bytes have not been sent.
    pub(crate) fn left(&self) -> usize {
        self.length
            .saturating_sub(self.sent.load(Ordering::Acquire))
    }

    /// Whether `bytes` are what comes next of the stand-in.
    pub(crate) fn is_next(&self, bytes: &[u8]) -> bool {
        let rest = &STAND_IN[self.sent.load(Ordering::Acquire)..self.length];
        rest.as_ptr() == bytes.as_ptr() && bytes.len() <= rest.len()
    }

    /// Has the system send up to `most` bytes to a socket that does not wait, and answers how many.
    pub(crate) fn send(&self, socket: impl AsFd, most: usize) -> io::Result<usize> {
        let mut position = self.position();
        let sent = rustix::fs::sendfile(socket, &self.file, Some(&mut position), most)?;
        if sent == 0 {
            return Err(too_short());
        }
        self.advance(sent);
        Ok(sent)
    }

    /// Reads the next bytes, as many as `buffer` takes at the most.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.file.read_at(buffer, self.position())? {
            0 => Err(too_short()),
            read => Ok(read),
        }
    }

    /// Notes that `count` bytes more have been sent.
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

/// Whether to read the byte at `position` would not wait for a disk, as far as the system can tell.
fn is_in_memory(file: &File, position: u64) -> bool {
    let mut byte = [0];
    let mut slices = [IoSliceMut::new(&mut byte)];
    preadv2(file, &mut slices, position, ReadWriteFlags::NOWAIT).is_ok()
}

/// Has the system read what lies in `range`.
fn read_through(file: &File, range: Range<u64>) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    let mut position = range.start;
    while position < range.end {
        match file.read_at(&mut buffer, position) {
            Ok(0) => break,
            Ok(read) => position += read as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
