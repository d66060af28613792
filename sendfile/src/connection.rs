//! A socket that knows stand-ins when it is to write them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::outlet::Outlet;

/// A TCP connection for hyper to serve, or to send requests on.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    #[cfg(target_os = "linux")]
    outlet: Outlet,
}

impl Connection {
    /// Takes over `stream`. The outlet makes bodies for this connection; there is none where the system
    /// cannot send files.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn new(stream: TcpStream) -> (Self, Option<Outlet>) {
        let outlet = Outlet::default();
        let connection = Self {
            stream,
            outlet: outlet.clone(),
        };
        (connection, Some(outlet))
    }

    /// Takes over `stream`. The outlet makes bodies for this connection; there is none where the system
    /// cannot send files.
    #[cfg(not(target_os = "linux"))]
    #[must_use]
    pub fn new(stream: TcpStream) -> (Self, Option<Outlet>) {
        (Self { stream }, None)
    }

    #[cfg(target_os = "linux")]
    fn poll_send(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let part = self.outlet.find(bytes)?;
        loop {
            std::task::ready!(self.stream.poll_write_ready(context))?;
            let sent = self.stream.try_io(tokio::io::Interest::WRITABLE, || {
                part.send(&self.stream, bytes.len())
            });
            match sent {
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) => {}
                sent => return Poll::Ready(sent),
            }
        }
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
        let slices = {
            self.outlet.check()?;
            let filled = slices.iter().position(|slice| !slice.is_empty());
            let slices = filled.map_or(&[][..], |first| &slices[first..]);
            match crate::outlet::ordinary(slices) {
                0 if !slices.is_empty() => return self.poll_send(context, &slices[0]),
                count => &slices[..count],
            }
        };
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        #[cfg(target_os = "linux")]
        self.outlet.check()?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
