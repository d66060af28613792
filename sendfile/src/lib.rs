//! Parts of files as bodies of HTTP messages that hyper writes, without their bytes ever being copied
//! into the memory of the process.
//!
//! hyper knows bodies of bytes only. So a body that an [`Outlet`] makes of a file is one of *stand-ins*:
//! bytes that have the right length and nothing in them. The [`Connection`] that the outlet belongs
//! to knows them by where they lie in memory, and has the system send the bytes of the file in their
//! place (`sendfile(2)`).
//!
//! What a stand-in stands for is sent on its own connection, or the connection breaks: a layer that
//! looks into a body or alters it, as for compression, never makes a peer receive the wrong bytes and
//! take them for the whole.
//!
//! Only Linux can; elsewhere a connection has no outlet, and bodies are read as streams.
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
//! let mut answer = String::new();
//! client.read_to_string(&mut answer).await?;
//! assert!(answer.ends_with("\r\n\r\nhello"));
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
