//! What the system has in memory of a file.

use std::collections::VecDeque;
use std::fs::File;
use std::io::IoSliceMut;

use bytes::{Bytes, BytesMut};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::task::coop;

/// How much is read at a time, in bytes: it takes some microseconds, and who looks at it next finds it in
/// the processor's cache.
const PIECE: u64 = 64 * 1024;
/// How many pieces that were read are kept to be written to again, for a reader who takes some before
/// it lets go of the first.
const KEPT: usize = 8;
/// To `preadv2`: where the cursor is.
const AT_CURSOR: u64 = u64::MAX;

/// Reads without waiting for a disk, so that no other thread is needed.
#[derive(Debug, Default)]
pub(super) struct PageCache {
    /// What was read, the oldest first.
    kept: VecDeque<Bytes>,
}

impl PageCache {
    /// The next bytes of a file, of which there are to be `left` at the most; none at its end. `None` if
    /// the system would have to wait, or cannot say.
    pub(super) async fn read(&mut self, file: &File, left: u64) -> Option<Bytes> {
        let mut buffer = self.buffer(usize::try_from(left.min(PIECE)).ok()?);
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let read = loop {
            match preadv2(file, &mut slices, AT_CURSOR, ReadWriteFlags::NOWAIT) {
                Err(Errno::INTR) => {}
                read => break read.ok()?,
            }
        };
        buffer.truncate(read);
        let bytes = buffer.freeze();
        if (read as u64) < left {
            self.kept.push_back(bytes.clone());
        }
        // As nothing is ever waited for, nobody else had a turn.
        coop::consume_budget().await;
        Some(bytes)
    }

    /// A buffer of `length` bytes: that of the oldest piece, if nobody has it any more.
    fn buffer(&mut self, length: usize) -> BytesMut {
        let is_free = self.kept.front().is_some_and(Bytes::is_unique);
        if (is_free || self.kept.len() == KEPT)
            && let Some(oldest) = self.kept.pop_front()
            && let Ok(mut free) = oldest.try_into_mut()
        {
            free.resize(length, 0);
            return free;
        }
        BytesMut::zeroed(length)
    }
}
