//! Copies the content of an open file. What arrives is hashed while more is on its way: written on one
//! thread and, a few steps behind, read again and hashed on another. A third one syncs, where that is
//! asked for: a disk that is busy with the work of others then holds up neither.
//!
//! Hashed is what was written and not what was read, so that the kernel may copy by itself, and a
//! source that somebody changes meanwhile is noticed all the same.

use std::fs::File;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};

use tranship::{Error, ErrorKind, Result};

use super::preallocation::Preallocation;
use crate::driver::file::PIECE;
use crate::driver::position::{read_at, read_exact_at, write_all_at};

/// What is copied at a time, in bytes, before the other thread hears of it.
const STEP: u64 = 1024 * 1024;

/// What may be written and not be synced, in bytes, where it is to be synced in the end: the disk is
/// to work while the processor does.
#[cfg(not(test))]
const UNSYNCED: u64 = 64 * 1024 * 1024;
#[cfg(test)]
const UNSYNCED: u64 = 1024 * 1024;

/// What is to be copied.
pub(super) struct Copy<'a> {
    pub(super) source: &'a File,
    /// Where in the source it begins.
    pub(super) start: u64,
    /// How much it is, in bytes.
    pub(super) length: u64,
    /// An empty file, open for reading too.
    pub(super) to: &'a File,
    /// Whether the file will be synced.
    pub(super) is_synced: bool,
}

/// What went wrong where.
pub(super) enum CopyError {
    Source(io::Error),
    Destination(io::Error),
    Other(Error),
}

impl Copy<'_> {
    /// Copies, and hands on what was written, in order, to `take`, which may end it. Less than
    /// `length` is copied if the source has less.
    pub(super) fn run(
        &self,
        take: impl FnMut(&[u8]) -> Result<()>,
    ) -> std::result::Result<(), CopyError> {
        let (told, written) = channel();
        let (syncs, to_sync) = channel();
        std::thread::scope(|scope| {
            let writing = spawn(scope, move || self.write(&told, &syncs))?;
            let is_worth_it = self.is_synced && self.length > UNSYNCED;
            // Without this thread, the file is synced at the end.
            let syncing = match is_worth_it {
                true => spawn(scope, move || self.sync(&to_sync)).ok(),
                false => None,
            };
            // When this ends, so do the other threads, as the receiver of the first is gone.
            let taken = self.take(written, take);
            let written = writing.join().unwrap_or_else(|_| Err(cut_short()));
            let synced = syncing.map_or(Ok(()), |syncing| {
                syncing.join().unwrap_or_else(|_| Err(cut_short()))
            });
            written.and(taken).and(synced)
        })
    }

    fn write(&self, told: &Sender<u64>, syncs: &Sender<()>) -> std::result::Result<(), CopyError> {
        let mut steps = Steps::default();
        let mut room = Preallocation::new(self.length);
        let mut at = 0;
        let mut to_sync = 0;
        while at < self.length {
            let step = STEP.min(self.length - at);
            room.make(self.to, at + step);
            let copied = steps.copy(self, at, step)?;
            at += copied;
            if copied == 0 || told.send(at).is_err() {
                break;
            }
            if at - to_sync >= UNSYNCED {
                to_sync = at;
                // Perhaps nobody syncs.
                let _ = syncs.send(());
            }
        }
        Ok(())
    }

    /// Syncs behind what is written. The rest is synced by whoever gives the file its name.
    fn sync(&self, written: &Receiver<()>) -> std::result::Result<(), CopyError> {
        while written.recv().is_ok() {
            // All that was written while the last sync ran is synced with this one.
            written.try_iter().for_each(drop);
            self.to.sync_data().map_err(CopyError::Destination)?;
        }
        Ok(())
    }

    fn take(
        &self,
        written: Receiver<u64>,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> std::result::Result<(), CopyError> {
        let mut buffer = vec![0; PIECE];
        let mut at = 0;
        for end in written {
            while at < end {
                let piece = &mut buffer[..piece_of(end - at)];
                read_exact_at(self.to, piece, at).map_err(CopyError::Destination)?;
                take(piece).map_err(CopyError::Other)?;
                at += piece.len() as u64;
            }
        }
        Ok(())
    }
}

/// Starts a thread, which fails if the system allows no more of them.
fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> std::result::Result<std::thread::ScopedJoinHandle<'scope, T>, CopyError> {
    let spawned = std::thread::Builder::new().spawn_scoped(scope, work);
    spawned.map_err(|error| {
        let error = Error::io("a thread to write the blob cannot be started", error);
        CopyError::Other(error.with_hint("raise the limit on threads of the user or the container"))
    })
}

fn cut_short() -> CopyError {
    CopyError::Other(Error::new(ErrorKind::Io, "writing the blob was cut short"))
}

/// How steps are copied.
#[derive(Default)]
struct Steps {
    /// Empty as long as the kernel copies by itself.
    buffer: Vec<u8>,
}

impl Steps {
    /// Copies up to `length` bytes, and answers how many; 0 at the end of the source.
    fn copy(
        &mut self,
        copy: &Copy<'_>,
        at: u64,
        length: u64,
    ) -> std::result::Result<u64, CopyError> {
        if self.buffer.is_empty() {
            // 0 may also mean that the file system cannot tell.
            match copy_in_kernel(copy.source, copy.start + at, copy.to, at, length) {
                Ok(copied) if copied > 0 => return Ok(copied),
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    return Err(CopyError::Destination(error));
                }
                _ => self.buffer = vec![0; PIECE],
            }
        }
        let piece = &mut self.buffer[..piece_of(length)];
        let length = read_at(copy.source, piece, copy.start + at).map_err(CopyError::Source)?;
        write_all_at(copy.to, &piece[..length], at).map_err(CopyError::Destination)?;
        Ok(length as u64)
    }
}

/// How much of what is left, in bytes, passes through memory at a time.
fn piece_of(left: u64) -> usize {
    usize::try_from(left).map_or(PIECE, |left| left.min(PIECE))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn copy_in_kernel(
    from: &File,
    mut start: u64,
    to: &File,
    mut at: u64,
    length: u64,
) -> io::Result<u64> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let copied = rustix::fs::copy_file_range(from, Some(&mut start), to, Some(&mut at), length)?;
    Ok(copied as u64)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn copy_in_kernel(_: &File, _: u64, _: &File, _: u64, _: u64) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(content).expect("written");
        file
    }

    fn copied(content: &[u8], start: u64, length: u64) -> Vec<u8> {
        let (source, to) = (file(content), file(b""));
        let copy = Copy {
            source: &source,
            start,
            length,
            to: &to,
            is_synced: true,
        };
        let mut taken = Vec::new();
        let outcome = copy.run(|piece| {
            taken.extend_from_slice(piece);
            Ok(())
        });
        assert!(outcome.is_ok());
        let mut written = vec![0; taken.len()];
        read_exact_at(&to, &mut written, 0).expect("written");
        assert_eq!(written, taken);
        assert_eq!(to.metadata().expect("a file").len(), taken.len() as u64);
        taken
    }

    #[test]
    fn a_part_of_a_file_is_copied_and_handed_on() {
        let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        for (start, length) in [(0, 3_000_000), (7, 2_500_000), (1_048_576, 1), (5, 0)] {
            let part = &content[start..start + length];
            assert_eq!(copied(&content, start as u64, length as u64), part);
        }
    }

    #[test]
    fn of_a_source_that_is_too_short_comes_what_there_is() {
        assert_eq!(copied(b"short", 2, 10_000_000), b"ort");
    }

    #[test]
    fn who_takes_can_end_it() {
        let (source, to) = (file(&[1; 3_000_000]), file(b""));
        let copy = Copy {
            source: &source,
            start: 0,
            length: 3_000_000,
            to: &to,
            is_synced: false,
        };
        let outcome = copy.run(|_| Err(Error::new(ErrorKind::Aborted, "enough")));
        assert!(
            matches!(outcome, Err(CopyError::Other(error)) if error.kind() == ErrorKind::Aborted)
        );
    }
}
