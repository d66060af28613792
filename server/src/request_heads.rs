//! Refuses heads of requests that RFC 9112 forbids and the parser of hyper accepts: lines that end in a bare
//! LF (section 2.2), and HTTP/1.1 without exactly one `Host` (section 3.2).
//!
//! A proxy that parses such a head in another way than the server could be tricked into passing on requests
//! that it has not checked. The bytes are inspected as they are read from the socket, and the one that makes a
//! head invalid is replaced by NUL, which is not allowed in a head: hyper responds with 400 and closes the connection.
//! The framing of bodies is parsed, but their bytes are not changed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest line that is parsed, in bytes. Hyper refuses longer heads.
const MAX_LINE: usize = 64 * 1024;

/// A connection that validates the heads of incoming requests.
pub(crate) struct RequestHeadValidator<I> {
    inner: I,
    requests: RequestParser,
}

impl<I> RequestHeadValidator<I> {
    pub(crate) fn new(inner: I) -> Self {
        Self {
            inner,
            requests: RequestParser::default(),
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for RequestHeadValidator<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        if let Some(new) = buffer.filled_mut().get_mut(before..) {
            self.requests.check(new);
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for RequestHeadValidator<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// Parses the requests on a connection as far as their framing.
#[derive(Default)]
struct RequestParser {
    part: Part,
    /// The current line, without its LF.
    line: Vec<u8>,
    head: Head,
}

/// The part of a request that is expected next.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A line of a head.
    #[default]
    Head,
    /// This many bytes of a body with a `Content-Length`.
    Body(u64),
    /// The line with the size of a chunk.
    ChunkSize,
    /// This many bytes of a chunk and the CRLF after it.
    Chunk(u64),
    /// A line of the trailer section.
    Trailers,
    /// Not known, because the request is invalid and hyper refuses it.
    Unknown,
}

/// The fields of the current head so far.
#[derive(Default)]
struct Head {
    has_begun: bool,
    needs_host: bool,
    hosts: usize,
    length: u64,
    is_chunked: bool,
}

impl RequestParser {
    /// Checks the next `bytes`, and makes them invalid if the request must be refused.
    fn check(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let used = match &mut self.part {
                Part::Unknown => return,
                Part::Body(left) => {
                    let used = skip(left, bytes.len());
                    if *left == 0 {
                        self.part = Part::Head;
                    }
                    used
                }
                Part::Chunk(left) => {
                    let used = skip(left, bytes.len());
                    if *left == 0 {
                        self.part = Part::ChunkSize;
                    }
                    used
                }
                Part::Head | Part::ChunkSize | Part::Trailers => self.take_line(bytes),
            };
            bytes = bytes.split_at_mut(used).1;
        }
    }

    /// Consumes a line or the available part of it, and returns the number of bytes.
    fn take_line(&mut self, bytes: &mut [u8]) -> usize {
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let used = end.unwrap_or(bytes.len());
        self.line.extend_from_slice(&bytes[..used]);
        if self.line.len() > MAX_LINE {
            self.part = Part::Unknown;
            return used;
        }
        let Some(end) = end else {
            return used;
        };
        let line = std::mem::take(&mut self.line);
        let next = line.strip_suffix(b"\r").and_then(|line| self.next(line));
        if next.is_none() {
            bytes[end] = 0;
        }
        self.part = next.unwrap_or(Part::Unknown);
        self.line = line;
        self.line.clear();
        end + 1
    }

    /// Returns what follows `line`, or `None` if it must be refused.
    fn next(&mut self, line: &[u8]) -> Option<Part> {
        match self.part {
            Part::Head if line.is_empty() && self.head.has_begun => {
                let head = std::mem::take(&mut self.head);
                head.is_valid().then(|| head.body())
            }
            Part::Head => {
                self.head.add(line)?;
                Some(Part::Head)
            }
            Part::ChunkSize => match chunk_size(line)? {
                0 => Some(Part::Trailers),
                size => Some(Part::Chunk(size.checked_add(2)?)),
            },
            Part::Trailers if line.is_empty() => Some(Part::Head),
            part => Some(part),
        }
    }
}

impl Head {
    /// Parses a line; `None` if it is invalid.
    fn add(&mut self, line: &[u8]) -> Option<()> {
        if !self.has_begun {
            // Empty lines before a request are ignored (section 2.2).
            self.has_begun = !line.is_empty();
            self.needs_host = line.ends_with(b"HTTP/1.1");
            return Some(());
        }
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let value = value.iter().all(u8::is_ascii_digit).then_some(value)?;
            self.length = std::str::from_utf8(value).ok()?.parse().ok()?;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let last = value.rsplit(|&byte| byte == b',').next()?.trim_ascii();
            self.is_chunked = last.eq_ignore_ascii_case(b"chunked");
        }
        Some(())
    }

    fn is_valid(&self) -> bool {
        !self.needs_host || self.hosts == 1
    }

    fn body(&self) -> Part {
        if self.is_chunked {
            Part::ChunkSize
        } else if self.length > 0 {
            Part::Body(self.length)
        } else {
            Part::Head
        }
    }
}

fn skip(left: &mut u64, available: usize) -> usize {
    let used = usize::try_from(*left).map_or(available, |left| left.min(available));
    *left -= used as u64;
    used
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|&byte| byte == b';').next()?.trim_ascii();
    let digits = std::str::from_utf8(digits).ok()?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns what hyper reads when `text` arrives in pieces of `size` bytes.
    fn checked(text: &str, size: usize) -> String {
        let mut requests = RequestParser::default();
        let mut bytes = text.as_bytes().to_vec();
        for piece in bytes.chunks_mut(size.max(1)) {
            requests.check(piece);
        }
        String::from_utf8(bytes).expect("text")
    }

    const WELL_FORMED: &[&str] = &[
        "GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET /v2/ HTTP/1.1\r\nhost:a\r\n\r\n",
        "GET /v2/ HTTP/1.0\r\n\r\n",
        "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n\n\na\nb\n",
        "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n\
         3;x=y\r\n\na\n\r\nA\r\n0123456\n\n\n\r\n0\r\nTrailer: 1\r\n\r\n",
        "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    ];

    #[test]
    fn a_bare_lf_in_a_head_is_made_invalid() {
        for bad in [
            "GET /v2/ HTTP/1.1\nHost: a\r\n\r\n",
            "GET /v2/ HTTP/1.1\r\nHost: a\n\r\n",
            "GET /v2/ HTTP/1.1\r\nHost: a\r\n\n",
            "\nGET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n",
        ] {
            for before in [&[""][..], WELL_FORMED].concat() {
                for size in [1, 7, 1000] {
                    let found = checked(&format!("{before}{bad}"), size);
                    assert_eq!(found.matches('\0').count(), 1, "{before:?} {bad:?}");
                    assert!(found.starts_with(before), "{before:?} {bad:?}");
                }
            }
        }
    }

    #[test]
    fn http_1_1_has_exactly_one_host() {
        for bad in [
            "GET /v2/ HTTP/1.1\r\n\r\n",
            "GET /v2/ HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
        ] {
            assert_eq!(checked(bad, 5).matches('\0').count(), 1, "{bad:?}");
        }
    }

    #[test]
    fn an_invalid_body_is_left_to_hyper() {
        for body in ["x\r\n\n", "\n", "ffffffffffffffff\r\n\n"] {
            let head = "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
            let found = checked(&format!("{head}{body}"), 3);
            assert!(found.starts_with(head), "{body:?}");
        }
        let long = format!("GET /{} HTTP/1.1\n", "a".repeat(MAX_LINE));
        assert!(checked(&long, 1000) == long, "changed");
    }

    proptest! {
        #[test]
        fn well_formed_requests_pass_unchanged(
            picked in prop::collection::vec(prop::sample::select(WELL_FORMED), 0..6),
            size in 1_usize..100,
        ) {
            let text = picked.concat();
            prop_assert_eq!(checked(&text, size), text);
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1_usize..50) {
            let mut requests = RequestParser::default();
            let mut bytes = bytes;
            for piece in bytes.chunks_mut(size) {
                requests.check(piece);
            }
        }
    }
}
