//! Preallocation for the content of a large file, set aside in large steps.
//!
//! A file system that is told nothing looks for room at each write, block by block, which takes a third of
//! what a large file costs; and what is written at the same time ends up in turns on the disk.

use std::fs::File;

/// How much is set aside at a time, in bytes. More is never taken for content that does not come.
const STEP: u64 = 16 * 1024 * 1024;

/// Sets aside room in one file.
#[derive(Debug)]
pub(super) struct Preallocation {
    /// How long the file will be.
    length: u64,
    /// Up to where there is room.
    end: u64,
}

impl Preallocation {
    /// For a file that will have `length` bytes, and has none.
    pub(super) fn new(length: u64) -> Self {
        Self { length, end: 0 }
    }

    /// Sees to it that there is room up to `end`, and some more. Where there is none, or the file system
    /// knows no such thing, writing will tell.
    pub(super) fn make(&mut self, file: &File, end: u64) {
        while self.end < end.min(self.length) {
            let step = STEP.min(self.length - self.end);
            match set_aside(file, self.end, step) {
                true => self.end += step,
                false => self.end = self.length,
            }
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_aside(file: &File, at: u64, length: u64) -> bool {
    use rustix::fs::{FallocateFlags, fallocate};

    // The file is as long as what was written, whatever room it has.
    fallocate(file, FallocateFlags::KEEP_SIZE, at, length).is_ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_aside(_: &File, _: u64, _: u64) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    /// How many bytes `file` takes on the disk.
    fn taken(file: &File) -> u64 {
        file.metadata().expect("a file").blocks() * 512
    }

    #[test]
    fn room_is_made_in_steps_and_no_more_than_the_length() {
        let file = tempfile::tempfile().expect("a file");
        let length = 2 * STEP + 5;
        let mut room = Preallocation::new(length);
        room.make(&file, 0);
        assert_eq!(taken(&file), 0);
        room.make(&file, 1);
        let step = taken(&file);
        // Not all file systems can.
        assert!(step == 0 || (STEP..2 * STEP).contains(&step), "{step}");
        room.make(&file, STEP);
        assert_eq!(taken(&file), step);
        room.make(&file, u64::MAX);
        assert!(step == 0 || taken(&file) >= length);
        assert!(taken(&file) < length + STEP);
        assert_eq!(file.metadata().expect("a file").len(), 0);
    }
}
