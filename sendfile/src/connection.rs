//! A socket that sends parts of files in the place of their stand-ins.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
#[cfg(target_os = "linux")]
use std::{io::ErrorKind, task::ready};

#[cfg(target_os = "linux")]
use tokio::io::Interest;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[cfg(target_os = "linux")]
use crate::outlet::Next;
use crate::outlet::Outlet;
#[cfg(target_os = "linux")]
use crate::part::Part;

/// A TCP connection for hyper to serve, or to send requests on.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    #[cfg(target_os = "linux")]
    outlet: Outlet,
    /// Whether the system can send files, as far as is known.
    #[cfg(target_os = "linux")]
    can_send: bool,
}

impl Connection {
    /// Wraps `stream`. The outlet makes bodies for this connection; it is `None` if the system cannot send files.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn new(stream: TcpStream) -> (Self, Option<Outlet>) {
        let outlet = Outlet::default();
        let connection = Self {
            stream,
            outlet: outlet.clone(),
            can_send: true,
        };
        (connection, Some(outlet))
    }

    /// Wraps `stream`. The outlet makes bodies for this connection; it is `None` if the system cannot send files.
    #[cfg(not(target_os = "linux"))]
    #[must_use]
    pub fn new(stream: TcpStream) -> (Self, Option<Outlet>) {
        (Self { stream }, None)
    }

    #[cfg(target_os = "linux")]
    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        part: &Part,
        length: usize,
    ) -> Poll<io::Result<usize>> {
        while self.can_send {
            ready!(self.stream.poll_write_ready(context))?;
            let sent = self
                .stream
                .try_io(Interest::WRITABLE, || part.send(&self.stream, length));
            match sent.as_ref().map_err(io::Error::kind) {
                Err(ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                // Some file systems do not support it, such as those in user space.
                Err(ErrorKind::InvalidInput | ErrorKind::Unsupported) => self.can_send = false,
                _ => return Poll::Ready(sent),
            }
        }
        let mut buffer = [0; 16 * 1024];
        let most = length.min(buffer.len());
        let read = part.read(&mut buffer[..most])?;
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, &buffer[..read]))?;
        part.advance(written);
        Poll::Ready(Ok(written))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        #[cfg(target_os = "linux")]
        if let Some(first) = slices.iter().find(|slice| !slice.is_empty()) {
            match self.outlet.next(first)? {
                Next::Bytes => {}
                Next::SizeLine => {
                    let written = Pin::new(&mut self.stream).poll_write(context, first);
                    let written = ready!(written)?;
                    self.outlet.advance_size_line(written);
                    return Poll::Ready(Ok(written));
                }
                Next::Part(part) => return self.poll_send(context, &part, first.len()),
            }
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        #[cfg(target_os = "linux")]
        self.outlet.flush(context);
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        #[cfg(target_os = "linux")]
        self.outlet.check()?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::{Seek as _, Write as _};

    use bytes::Bytes;
    use futures_util::StreamExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tranship::Body;

    #[tokio::test]
    async fn a_file_that_the_system_does_not_send_is_copied() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut peer = TcpStream::connect(address).await.expect("connected");
        let (stream, _) = listener.accept().await.expect("a peer");
        let (mut connection, outlet) = Connection::new(stream);
        connection.can_send = false;

        let content: Vec<u8> = (0..600_000).map(|at| (at % 251) as u8).collect();
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&content).expect("written");
        file.rewind().expect("rewound");
        let mut body = outlet.expect("one").stream(Body::from_file(file, u64::MAX));
        let writing = tokio::spawn(async move {
            while let (Some(piece), _) = tokio::join!(body.next(), connection.flush()) {
                let piece: Bytes = piece.expect("a piece");
                connection.write_all(&piece).await.expect("written");
            }
        });
        let mut got = Vec::new();
        peer.read_to_end(&mut got).await.expect("read");
        writing.await.expect("ended");
        assert!(got == content);
    }
}
