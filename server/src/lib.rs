//! Serves any [`tranship::Registry`] as the HTTP API of the OCI distribution spec, version 1.1 and
//! what the text after it adds.
//!
//! [`router`] makes a [`RegistryService`] of a registry: a [`tower_service::Service`] that can be
//! mounted wherever one fits. [`Server`] runs such a service on a socket, with HTTP/1.1 and graceful
//! shutdown. [`TestServer`] does so on a free port, for as long as it is held.
//!
//! ```
//! use std::sync::Arc;
//! use tranship_memory::MemoryRegistry;
//! use tranship_server::TestServer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> tranship::Result<()> {
//! let server = TestServer::start(Arc::new(MemoryRegistry::new())).await?;
//! println!("http://{}/v2/", server.host());
//! # Ok(())
//! # }
//! ```
//!
//! Bodies stream in both directions, in constant memory. Uploads go through
//! [`tranship::Uploader`], so that where the backend keeps them a session outlives the server.
//!
//! Everything here needs a tokio runtime with its timers, and a socket its input and output too.

mod access;
mod blobs;
mod catalog;
mod conditions;
mod endpoint;
mod failure;
mod heads;
mod manifests;
mod metrics;
mod options;
mod query;
mod range;
mod record;
mod referrers;
mod request_body;
mod response;
mod response_body;
mod route;
mod server;
mod service;
mod stall;
mod state;
mod tag_locks;
mod tags;
mod test_server;
#[cfg(feature = "tls")]
mod tls;
mod upload_sessions;
mod uploads;
mod watched;

pub use access::{Access, Htpasswd, NamePattern, Permission};
pub use options::ServerOptions;
pub use response_body::ResponseBody;
pub use server::Server;
pub use service::{RegistryService, router};
pub use test_server::TestServer;
#[cfg(feature = "tls")]
pub use tls::Tls;
