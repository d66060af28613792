//! Parts of files as bodies of HTTP messages that hyper writes, without copying their bytes into the memory of the
//! process.
//!
//! hyper writes bodies of bytes. So the body that an [`Outlet`] makes of a file consists of *stand-ins*: zeros of the
//! right length. The [`Connection`] that the outlet belongs to makes the system send the bytes of the file in their
//! place (`sendfile(2)`).
//!
//! # How a stand-in is recognised
//!
//! By its position. hyper gives a connection slices of bytes ([`poll_write_vectored`]), whatever type the data of a
//! body has, and a body does not know how many bytes of heads and chunk sizes hyper writes before its own. A data type
//! of our own would not help, and bodies of axum and of layers have to be [`Bytes`](bytes::Bytes) anyway. But hyper
//! flushes a connection ([`poll_flush`]) exactly when it has nothing left to write. So:
//!
//! 1. A body hands out a part of a file only after such a flush, and one part at a time. It is put into a slot that the
//!    connection shares.
//! 2. While the slot is occupied, the connection accepts nothing but the size line of a chunk of this length, and the
//!    stand-in. Any other bytes are an error, before one of them is sent.
//! 3. A stand-in that is dropped before its part is sent, or is still not sent when hyper asks for the next one, makes
//!    the connection fail.
//!
//! So a layer that compresses a body or collects it never makes a peer receive wrong bytes and take them for the whole.
//!
//! Do not send a stand-in on any other connection, where it is just zeros. Leave hyper's `pipeline_flush` off, which
//! omits flushes.
//!
//! Only Linux is supported; on other systems a connection does not have an outlet, and bodies are read as streams.
//!
//! [`poll_write_vectored`]: tokio::io::AsyncWrite::poll_write_vectored
//! [`poll_flush`]: tokio::io::AsyncWrite::poll_flush
//!
//! ```
//! use std::convert::Infallible;
//! use std::io::{Seek, Write};
//!
//! use futures_util::TryStreamExt;
//! use http_body_util::StreamBody;
//! use hyper::body::Frame;
//! use hyper::service::service_fn;
//! use hyper_util::rt::TokioIo;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::net::{TcpListener, TcpStream};
//! use tranship::Body;
//! use tranship_sendfile::Connection;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let mut client = TcpStream::connect(listener.local_addr()?).await?;
//! let (connection, outlet) = Connection::new(listener.accept().await?.0);
//!
//! let serve = service_fn(move |_request| {
//!     let outlet = outlet.clone();
//!     async move {
//!         let mut file = tempfile::tempfile().expect("a file");
//!         file.write_all(b"hello").expect("written");
//!         file.rewind().expect("rewound");
//!         let body = Body::from_file(file, 5);
//!         let stream = match outlet {
//!             Some(outlet) => outlet.stream(body),
//!             None => body.into_stream(),
//!         };
//!         Ok::<_, Infallible>(hyper::Response::new(StreamBody::new(stream.map_ok(Frame::data))))
//!     }
//! });
//! tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), serve));
//!
//! client.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
//! let mut response = String::new();
//! client.read_to_string(&mut response).await?;
//! assert!(response.ends_with("\r\n\r\nhello"));
//! # Ok(())
//! # }
//! ```

mod connection;
#[cfg_attr(not(target_os = "linux"), path = "no_outlet.rs")]
mod outlet;
#[cfg(target_os = "linux")]
mod part;

pub use connection::Connection;
pub use outlet::Outlet;
