//! Where stand-ins for parts of files are made, and what they stand for is found again.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use futures_util::stream;
use tranship::{Body, ByteStream, LocalFile, Result};

use crate::part::Part;

/// How much of a file one stand-in is for, in bytes. More would only keep a thread busy for longer.
pub(crate) const PIECE: usize = 256 * 1024;

/// Makes bodies of files for one [`Connection`](crate::Connection), of which it is a handle: clones
/// share it.
#[derive(Debug, Clone, Default)]
pub struct Outlet(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// What was handed out, in the order in which it must come to the connection.
    parts: Mutex<VecDeque<Weak<Part>>>,
    is_broken: AtomicBool,
}

impl Outlet {
    /// The bytes of `body` for a message on this connection, and on no other: as stand-ins if they are
    /// a part of an open file, else as they are. Nothing else may be made of the stand-ins.
    ///
    /// For a few kilobytes it is not worth it. What is not in the system's memory is read from the disk
    /// on a blocking thread before its stand-in comes. Dropping the stream ends that, and once a stand-in
    /// was dropped before it was sent, the connection takes nothing more.
    #[must_use]
    pub fn stream(&self, body: Body) -> ByteStream {
        let file = body.local_file().cloned();
        match file.map(|file| (file.size(), file)) {
            Some((Ok(size), file)) => self.pieces(file, size),
            _ => body.into_stream(),
        }
    }

    fn pieces(&self, file: LocalFile, size: u64) -> ByteStream {
        let start = file.range().start;
        let state = (self.clone(), start, file);
        Box::pin(stream::try_unfold(
            state,
            move |(outlet, position, file)| async move {
                let piece_end = position.saturating_add(PIECE as u64);
                let end = piece_end.min(start.saturating_add(size));
                if position >= end {
                    return Ok(None);
                }
                let piece = outlet.piece(&file, position, end).await?;
                file.observe(end - position);
                Ok(Some((piece, (outlet, end, file))))
            },
        ))
    }

    async fn piece(&self, file: &LocalFile, start: u64, end: u64) -> Result<Bytes> {
        let part = Arc::new(Part::load(Arc::clone(file.file()), start..end).await?);
        self.lock().push_back(Arc::downgrade(&part));
        Ok(Bytes::from_owner(StandIn {
            part,
            state: Arc::clone(&self.0),
        }))
    }

    /// What the stand-in at `bytes` stands for.
    pub(crate) fn find(&self, bytes: &[u8]) -> io::Result<Arc<Part>> {
        let mut parts = self.lock();
        while let Some(front) = parts.front() {
            match front.upgrade() {
                Some(part) if part.left() > 0 => {
                    return match part.is_next(bytes) {
                        true => Ok(part),
                        false => Err(taken_elsewhere()),
                    };
                }
                _ => parts.pop_front(),
            };
        }
        Err(taken_elsewhere())
    }

    /// # Errors
    /// If a stand-in was dropped before what it stands for was sent.
    pub(crate) fn check(&self) -> io::Result<()> {
        match self.0.is_broken.load(Ordering::Acquire) {
            true => Err(taken_elsewhere()),
            false => Ok(()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Weak<Part>>> {
        self.0.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn taken_elsewhere() -> io::Error {
    io::Error::other("a body of a file was not sent as it is")
}

struct StandIn {
    part: Arc<Part>,
    state: Arc<State>,
}

impl AsRef<[u8]> for StandIn {
    fn as_ref(&self) -> &[u8] {
        self.part.stand_in()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if self.part.left() > 0 {
            self.state.is_broken.store(true, Ordering::Release);
        }
    }
}
