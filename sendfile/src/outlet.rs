//! The bodies for one connection, and the part of a file that the connection has to send next.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::stream;
use tranship::{Body, ByteStream, Error, LocalFile, Result};

use crate::part::{MAX_LENGTH, Part};

/// Makes bodies of files for one [`Connection`](crate::Connection), of which it is a handle: clones
/// share it.
#[derive(Debug, Clone, Default)]
pub struct Outlet(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The part that the body has handed out, until all of it is sent.
    pending: Option<Pending>,
    /// How often all bytes had been written that were given to hyper.
    flushes: u64,
    /// The task of a body that waits for a flush.
    body: Option<Waker>,
    /// The task that serves the connection.
    connection: Option<Waker>,
    is_broken: bool,
}

#[derive(Debug)]
struct Pending {
    part: Arc<Part>,
    /// What hyper writes before the part if the body is sent in chunks.
    size_line: String,
    /// How many bytes of the size line have been written.
    written: usize,
}

/// The meaning of the next bytes that hyper writes.
#[derive(Debug)]
pub(crate) enum Next {
    /// They are sent as they are.
    Bytes,
    /// They are sent as they are. They announce the size of the part that follows.
    SizeLine,
    /// They are a stand-in, and bytes of this part are sent instead.
    Part(Arc<Part>),
}

impl Outlet {
    /// Returns the bytes of `body` for a message on this connection, and on no other: stand-ins if they are
    /// a part of an open file, else the bytes themselves. Pass the stream to hyper as it is; a stand-in must not be
    /// changed, divided into chunks, or kept back until the next one.
    ///
    /// This does not pay off for a few kilobytes. Bytes that are not in the system's page cache are read from the disk
    /// on a blocking thread before their stand-in is returned.
    ///
    /// Dropping the stream is safe. If a stand-in is dropped before its bytes are sent, the connection fails.
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
        let state = (self.clone(), start, file, None);
        Box::pin(stream::try_unfold(
            state,
            move |(outlet, position, file, handed_out)| async move {
                let part_end = position.saturating_add(MAX_LENGTH as u64);
                let end = part_end.min(start.saturating_add(size));
                if position >= end {
                    return Ok(None);
                }
                let part = Part::load(Arc::clone(file.file()), position..end).await?;
                outlet.flushed(handed_out).await?;
                let (piece, handed_out) = outlet.hand_out(part)?;
                file.observe(end - position);
                Ok(Some((piece, (outlet, end, file, Some(handed_out)))))
            },
        ))
    }

    /// Waits until hyper has no bytes left to write, so that the next ones are those of the body that waits. `since` is
    /// the number of flushes when the body handed out its last part.
    async fn flushed(&self, since: Option<u64>) -> Result<()> {
        let since = since.unwrap_or_else(|| self.lock().flushes);
        let mut asked = None;
        let flushed = std::future::poll_fn(|context| self.poll_flushed(context, since, &mut asked));
        flushed.await.map_err(failed)
    }

    fn poll_flushed(
        &self,
        context: &mut Context<'_>,
        since: u64,
        asked: &mut Option<u64>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        let is_pending = state.has_pending();
        // A flush may run while the stand-in is on its way to hyper from another task. Before the second one hyper has
        // asked for it again.
        state.is_broken |= is_pending && state.flushes >= since.saturating_add(2);
        if state.is_broken {
            return Poll::Ready(Err(not_sent_as_it_is()));
        }
        if !is_pending && state.flushes > since {
            return Poll::Ready(Ok(()));
        }
        state.body = Some(context.waker().clone());
        // Once for each flush: hyper flushes when it is polled, unless the socket takes no more bytes.
        let connection = match *asked == Some(state.flushes) {
            true => None,
            false => state.connection.take(),
        };
        *asked = Some(state.flushes);
        drop(state);
        if let Some(connection) = connection {
            connection.wake();
        }
        Poll::Pending
    }

    /// Returns the stand-in of `part`, which the connection has to send next, and the number of flushes.
    fn hand_out(&self, part: Part) -> Result<(Bytes, u64)> {
        let part = Arc::new(part);
        let mut state = self.lock();
        if state.has_pending() || state.is_broken {
            state.is_broken = true;
            return Err(failed(not_sent_as_it_is()));
        }
        state.pending = Some(Pending {
            part: Arc::clone(&part),
            size_line: format!("{:X}\r\n", part.left()),
            written: 0,
        });
        let flushes = state.flushes;
        drop(state);
        let outlet = self.clone();
        Ok((Bytes::from_owner(StandIn { part, outlet }), flushes))
    }

    /// Returns what to do with `bytes`, which hyper writes next.
    ///
    /// # Errors
    /// If part of a file has to come next, and these are not its stand-in; and from then on.
    pub(crate) fn next(&self, bytes: &[u8]) -> io::Result<Next> {
        let mut state = self.lock();
        let next = match &state.pending {
            _ if state.is_broken => None,
            Some(Pending {
                part,
                size_line,
                written,
            }) if part.left() > 0 => {
                let left = size_line.as_bytes().get(*written..).unwrap_or_default();
                if part.is_stand_in(bytes) && (*written == 0 || left.is_empty()) {
                    Some(Next::Part(Arc::clone(part)))
                } else {
                    (part.is_unsent() && left == bytes).then_some(Next::SizeLine)
                }
            }
            _ => Some(Next::Bytes),
        };
        state.is_broken |= next.is_none();
        next.ok_or_else(not_sent_as_it_is)
    }

    /// Records that `count` bytes of the size line have been written.
    pub(crate) fn advance_size_line(&self, count: usize) {
        if let Some(pending) = &mut self.lock().pending {
            pending.written += count;
        }
    }

    /// Records that hyper has no bytes left to write.
    pub(crate) fn flush(&self, context: &Context<'_>) {
        let mut state = self.lock();
        state.flushes += 1;
        match &mut state.connection {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        let body = state.body.take();
        drop(state);
        if let Some(body) = body {
            body.wake();
        }
    }

    /// # Errors
    /// If a stand-in was dropped before its part was sent.
    pub(crate) fn check(&self) -> io::Result<()> {
        if self.lock().is_broken {
            Err(not_sent_as_it_is())
        } else {
            Ok(())
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_pending(&self) -> bool {
        let pending = self.pending.as_ref();
        pending.is_some_and(|pending| pending.part.left() > 0)
    }
}

fn not_sent_as_it_is() -> io::Error {
    io::Error::other("the body of a file was changed or kept back on its way to the connection")
}

fn failed(error: io::Error) -> Error {
    Error::io("the file cannot be sent", error)
}

struct StandIn {
    part: Arc<Part>,
    outlet: Outlet,
}

impl AsRef<[u8]> for StandIn {
    fn as_ref(&self) -> &[u8] {
        self.part.stand_in()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if self.part.left() > 0 {
            self.outlet.lock().is_broken = true;
        }
    }
}
