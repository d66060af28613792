//! A body on its way here, read off the socket into memory that is used again and again.
//!
//! A client that others share reads into new memory each time, which the system has to clear first, and
//! hands each piece from one task to another. By the gigabyte that is a tenth of what a pull costs.

use std::collections::VecDeque;
use std::io;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// How large a buffer is, in bytes.
const BUFFER: usize = 256 * 1024;

/// From how few free bytes on, another buffer is taken.
const LEAST: usize = 32 * 1024;

/// How many buffers are kept to be used again, for a reader who has many of them at a time.
const KEPT: usize = 32;

/// The `length` bytes of a body, of which `ahead` came already.
///
/// The stream fails with `UnexpectedEof` if the connection ends before. Dropping it closes the
/// connection.
pub(super) fn body(
    stream: TcpStream,
    ahead: Bytes,
    length: u64,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let body = Body {
        stream,
        ahead,
        left: length,
        buffers: Buffers::new(),
    };
    stream::try_unfold(body, |mut body| async move {
        let piece = body.next().await?;
        Ok((!piece.is_empty()).then_some((piece, body)))
    })
}

struct Body {
    stream: TcpStream,
    ahead: Bytes,
    left: u64,
    buffers: Buffers,
}

impl Body {
    /// The next bytes; none at the end.
    async fn next(&mut self) -> io::Result<Bytes> {
        if self.left == 0 {
            return Ok(Bytes::new());
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let piece = if self.ahead.is_empty() {
            let buffer = self.buffers.free();
            let read = self.stream.read_buf(&mut buffer.limit(most)).await?;
            if read == 0 {
                let missing = format!("the body ended {} bytes early", self.left);
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, missing));
            }
            self.buffers.current.split().freeze()
        } else {
            let piece = self.ahead.slice(..most.min(self.ahead.len()));
            self.ahead.advance(piece.len());
            piece
        };
        self.left -= piece.len() as u64;
        Ok(piece)
    }
}

/// Memory to read into.
struct Buffers {
    /// The rest of the buffer that was read into last.
    current: BytesMut,
    /// What is left of those before, the oldest first: nothing, until nobody has a piece of it any more.
    spent: VecDeque<BytesMut>,
}

impl Buffers {
    fn new() -> Self {
        Self {
            current: BytesMut::with_capacity(BUFFER),
            spent: VecDeque::new(),
        }
    }

    /// A buffer that has free bytes and no others.
    fn free(&mut self) -> &mut BytesMut {
        if self.current.capacity() < LEAST {
            let oldest = self.spent.front_mut();
            let is_free = oldest.is_some_and(|oldest| oldest.try_reclaim(BUFFER));
            let next = is_free.then(|| self.spent.pop_front()).flatten();
            let next = next.unwrap_or_else(|| BytesMut::with_capacity(BUFFER));
            self.spent
                .push_back(std::mem::replace(&mut self.current, next));
            // Whoever keeps the first for good does not keep the others.
            if self.spent.len() > KEPT {
                self.spent.pop_front();
            }
        }
        &mut self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills the next buffer and takes it out, and says where it lies.
    fn fill(buffers: &mut Buffers) -> (Bytes, usize) {
        let buffer = buffers.free();
        assert!(buffer.is_empty() && buffer.capacity() >= LEAST);
        buffer.resize(buffer.capacity(), 1);
        let piece = buffer.split().freeze();
        let place = piece.as_ptr().addr();
        (piece, place)
    }

    #[test]
    fn memory_is_used_again_when_nobody_has_a_piece_of_it() {
        let mut buffers = Buffers::new();
        let (first, place) = fill(&mut buffers);
        let kept = first.slice(5..6);
        drop(first);
        let (second, other) = fill(&mut buffers);
        assert_ne!(other, place);
        drop(kept);
        assert_eq!(fill(&mut buffers).1, place);
        assert_eq!(second[0], 1);
    }

    #[test]
    fn a_piece_that_is_never_given_back_does_not_keep_the_others() {
        let mut buffers = Buffers::new();
        let _first = fill(&mut buffers);
        let mut places: Vec<_> = (0..4 * KEPT).map(|_| fill(&mut buffers).1).collect();
        let rounds = places.split_off(2 * KEPT);
        assert!(rounds.iter().all(|place| places.contains(place)));
    }
}
