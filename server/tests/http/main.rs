//! The server as clients meet it: bytes over a socket in, bytes out.

mod blobs;
mod client;
mod hostile;
mod listings;
mod manifests;
mod sessions;
mod uploads;
