//! Small blobs that were read of late, which are mostly manifests.
//!
//! What is asked for again and again is answered after a look at the metadata of its file, and the file
//! is not opened. The look is made each time, since another process may remove the file, or replace a
//! damaged one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tranship::Digest;

use crate::driver::stamp::Stamp;

/// The most that is kept for a layout, in bytes.
const CAPACITY: usize = 256 * 1024;

/// The largest blob that is kept, in bytes.
const LARGEST: usize = 16 * 1024;

#[derive(Debug, Default)]
pub(super) struct RecentBlobs(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    blobs: HashMap<Digest, RecentBlob>,
    /// Those that were read longest ago first.
    order: VecDeque<Digest>,
    bytes: usize,
}

/// The bytes of a blob, and the state of the file that they were read from.
#[derive(Debug, Clone)]
pub(super) struct RecentBlob {
    pub(super) stamp: Stamp,
    pub(super) content: Bytes,
}

impl RecentBlobs {
    pub(super) fn get(&self, digest: &Digest) -> Option<RecentBlob> {
        self.lock().blobs.get(digest).cloned()
    }

    /// Keeps what was read from a file in this state, unless the file is so new that it might change
    /// once more without that showing.
    pub(super) fn remember(&self, digest: &Digest, stamp: Stamp, content: &Bytes) {
        if content.len() > LARGEST || stamp.is_fresh() {
            return;
        }
        let mut kept = self.lock();
        kept.remove(digest);
        kept.bytes += content.len();
        kept.order.push_back(*digest);
        let content = content.clone();
        kept.blobs.insert(*digest, RecentBlob { stamp, content });
        while kept.bytes > CAPACITY
            && let Some(oldest) = kept.order.front().copied()
        {
            kept.remove(&oldest);
        }
    }

    pub(super) fn forget(&self, digest: &Digest) {
        self.lock().remove(digest);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, digest: &Digest) {
        if let Some(known) = self.blobs.remove(digest) {
            self.bytes -= known.content.len();
            self.order.retain(|other| other != digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long_ago() -> Stamp {
        let file = tempfile::tempfile().expect("a file");
        file.set_modified(std::time::UNIX_EPOCH).expect("set");
        Stamp::of(&file.metadata().expect("metadata"))
    }

    fn blob(number: usize, size: usize) -> (Digest, Bytes) {
        let mut content = vec![0; size];
        content[..8].copy_from_slice(&number.to_le_bytes());
        (Digest::of(&content), content.into())
    }

    #[test]
    fn those_read_longest_ago_make_room() {
        let recent = RecentBlobs::default();
        let stamp = long_ago();
        let blobs: Vec<_> = (0..20).map(|number| blob(number, LARGEST)).collect();
        for (digest, content) in &blobs {
            recent.remember(digest, stamp.clone(), content);
        }
        assert_eq!(recent.lock().bytes, CAPACITY);
        let kept = |at: usize| recent.get(&blobs[at].0).map(|known| known.content);
        assert_eq!(kept(3), None);
        assert_eq!(kept(4).as_ref(), Some(&blobs[4].1));
        assert_eq!(kept(19).as_ref(), Some(&blobs[19].1));
    }

    #[test]
    fn what_is_read_again_is_kept_once() {
        let recent = RecentBlobs::default();
        let (digest, content) = blob(0, 100);
        recent.remember(&digest, long_ago(), &content);
        recent.remember(&digest, long_ago(), &content);
        assert_eq!(recent.lock().bytes, 100);
        recent.forget(&digest);
        let kept = recent.lock();
        assert_eq!((kept.bytes, kept.order.len()), (0, 0));
    }

    #[test]
    fn what_is_large_or_new_is_not_kept() {
        let recent = RecentBlobs::default();
        let (large, content) = blob(0, LARGEST + 1);
        recent.remember(&large, long_ago(), &content);
        let (new, content) = blob(1, 8);
        let file = tempfile::tempfile().expect("a file");
        let stamp = Stamp::of(&file.metadata().expect("metadata"));
        recent.remember(&new, stamp, &content);
        assert_eq!(recent.lock().blobs.len(), 0);
    }
}
