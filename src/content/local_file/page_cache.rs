//! Reads what the system has in memory of a file.

use std::collections::VecDeque;
use std::io::IoSliceMut;

use bytes::{Bytes, BytesMut};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::task::coop;

use super::LocalFile;

/// How much is read at a time, in bytes: it takes some microseconds, and the next reader finds it in the
/// processor's cache.
const PIECE: u64 = 64 * 1024;
/// How many pieces are kept to be overwritten, for a reader that takes some before it drops the first.
const KEPT: usize = 8;

/// Reads without waiting for a disk, so that no other thread is needed.
#[derive(Debug, Default)]
pub(super) struct PageCache {
    /// The last pieces, the oldest first.
    kept: VecDeque<Bytes>,
}

impl PageCache {
    /// Returns the bytes of a file from `offset` on; none at its end. Returns `None` if the system would have to wait
    /// for the disk, or cannot tell.
    pub(super) async fn read(&mut self, file: &LocalFile, offset: u64) -> Option<Bytes> {
        let position = file.range().start.checked_add(offset)?;
        let left = file.range().end.saturating_sub(position);
        if left == 0 {
            return Some(Bytes::new());
        }
        let mut buffer = self.buffer(usize::try_from(left.min(PIECE)).ok()?);
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let read = loop {
            match preadv2(file.file(), &mut slices, position, ReadWriteFlags::NOWAIT) {
                Err(Errno::INTR) => {}
                read => break read.ok()?,
            }
        };
        buffer.truncate(read);
        let bytes = buffer.freeze();
        if (read as u64) < left {
            self.kept.push_back(bytes.clone());
        }
        // This never waits, so other tasks would not get a turn.
        coop::consume_budget().await;
        Some(bytes)
    }

    /// Returns a buffer of `length` bytes: that of the oldest piece, if no reader has it any more.
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
