//! A connection of which hyper gets no more than the head of an answer, until it is told otherwise.
//!
//! hyper reads on behind the head. Who wants the body from the socket itself must keep it from that.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection for one request, whose answer's head is let through. For the rest hyper is let wait.
#[derive(Debug)]
pub(super) struct Gate {
    stream: TcpStream,
    head: Head,
    /// What came with the head and is not a part of it.
    ahead: Bytes,
    opener: Opener,
}

/// Lets everything through.
#[derive(Debug, Clone, Default)]
pub(super) struct Opener(Arc<AtomicBool>);

impl Opener {
    /// Wakes nobody: whoever has the connection must look at it again.
    pub(super) fn open(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Gate {
    pub(super) fn new(stream: TcpStream) -> (Self, Opener) {
        let opener = Opener::default();
        let gate = Self {
            stream,
            head: Head::default(),
            ahead: Bytes::new(),
            opener: opener.clone(),
        };
        (gate, opener)
    }

    /// The connection, and what came of the body already.
    pub(super) fn into_parts(self) -> (TcpStream, Bytes) {
        (self.stream, self.ahead)
    }
}

impl AsyncRead for Gate {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.opener.is_open() {
            if self.ahead.is_empty() {
                return Pin::new(&mut self.stream).poll_read(context, buffer);
            }
            let length = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..length]);
            self.ahead.advance(length);
            return Poll::Ready(Ok(()));
        }
        if self.head.has_ended {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let end = before + self.head.read(&buffer.filled()[before..]);
        self.ahead = Bytes::copy_from_slice(&buffer.filled()[end..]);
        buffer.set_filled(end);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Gate {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Finds where the head of an answer ends: at an empty line. What it says is for hyper to judge, which
/// takes line ends without a carriage return as well, and empty lines before the first.
#[derive(Debug, Default)]
struct Head {
    /// Whether a line with something in it has ended.
    has_status: bool,
    /// How long the present line is so far, without its end.
    line: usize,
    /// Whether the status has the form `1xx`, so that another answer follows.
    is_interim: bool,
    has_ended: bool,
}

/// Where the status stands in `HTTP/1.1 200 OK`.
const STATUS_AT: usize = 9;

impl Head {
    /// How many of the next bytes are of the head.
    fn read(&mut self, bytes: &[u8]) -> usize {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'\n' if self.line > 0 => {
                    self.has_status = true;
                    self.line = 0;
                }
                b'\n' if self.has_status && self.is_interim => *self = Self::default(),
                b'\n' if self.has_status => {
                    self.has_ended = true;
                    return at + 1;
                }
                b'\n' | b'\r' => {}
                _ => {
                    if !self.has_status && self.line == STATUS_AT {
                        self.is_interim = *byte == b'1';
                    }
                    self.line += 1;
                }
            }
        }
        bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `Head` takes for the head, whichever way the bytes come.
    fn head_of(answer: &str) -> &str {
        let mut whole = Head::default();
        let length = whole.read(answer.as_bytes());
        for cut in 0..length {
            let (first, second) = answer.as_bytes().split_at(cut);
            let mut head = Head::default();
            assert_eq!(head.read(first), cut, "{answer:?} {cut}");
            assert_eq!(cut + head.read(second), length, "{answer:?} {cut}");
            assert_eq!(head.has_ended, whole.has_ended, "{answer:?} {cut}");
        }
        &answer[..length]
    }

    #[test]
    fn a_head_ends_with_an_empty_line() {
        for head in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\nContent-Length: 5\n\n",
            "HTTP/1.1 200 OK\r\n\n",
            "\r\n\r\nHTTP/1.1 200 OK\r\nA: 1xx\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 Not Found\r\nA: b\r\n\r\n",
        ] {
            assert_eq!(head_of(&format!("{head}\r\n\r\nhello\n\n")), head);
        }
    }

    #[test]
    fn what_has_no_empty_line_has_no_end() {
        for text in [
            "",
            "\r\n\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
        ] {
            let mut head = Head::default();
            assert_eq!(head.read(text.as_bytes()), text.len());
            assert!(!head.has_ended, "{text:?}");
        }
    }
}
