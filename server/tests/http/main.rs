//! The server as clients meet it: bytes over a socket in, bytes out.

mod access;
mod blobs;
mod client;
mod hostile;
mod listings;
mod manifests;
mod operations;
mod sessions;
#[cfg(feature = "tls")]
mod tls;
mod uploads;
