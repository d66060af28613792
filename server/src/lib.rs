//! Serves any [`tranship::Registry`] as the HTTP API of the OCI distribution spec, version 1.1 and
//! what the text after it adds.
//!
//! [`router`] turns a registry into a [`RegistryService`]: a [`tower_service::Service`] that can be mounted in any HTTP
//! server. [`Server`] runs such a service on a socket, with HTTP/1.1 and graceful shutdown. [`TestServer`] does so on a
//! free port until it is dropped.
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
//! [`tranship::Uploader`], so an upload survives a restart of the server if the backend keeps it.
//!
//! Everything here needs a tokio runtime with timers enabled, and [`Server`] also one with I/O enabled.

mod access;
mod audit;
mod blobs;
mod catalog;
#[cfg(feature = "tls")]
mod client_certificate;
mod conditions;
mod dispatch;
mod endpoint;
mod endpoints;
mod events;
mod local_hosts;
mod manifests;
mod metrics;
mod mirrors;
mod options;
mod page_request;
mod paging;
mod peer;
mod query;
mod random;
mod range;
mod rate_limit;
mod readiness;
mod record;
mod redirects;
mod referrers;
mod reload;
mod request_body;
mod request_heads;
mod request_id;
mod response;
mod response_body;
mod response_error;
mod route;
mod server;
mod service;
mod state;
mod tag_locks;
mod tags;
mod test_server;
#[cfg(feature = "tls")]
mod tls;
mod token_endpoint;
mod trace;
mod upload_sessions;
mod uploads;
mod via;
mod write_timeout;

pub use access::{
    Access, CredentialKind, FetchDocument, Grant, Htpasswd, Identity, NamePattern, OidcIssuer,
    OidcRule, Permission, RobotAccount, RobotAccounts, RobotFile, RobotName, TokenKey,
    TokenOptions, TokenService,
};
pub use audit::{
    AuditActor, AuditOperation, AuditOptions, AuditRecord, AuditResult, AuditSink, AuditState,
    TagChange,
};
pub use events::{Event, EventAction, EventCause, EventSink, ReceiverState};
pub use local_hosts::LocalHosts;
pub use metrics::GcOutcome;
pub use mirrors::{Mirror, MirrorState, Mirrors, StoredRepositories};
pub use options::{RedirectOptions, ServerOptions};
pub use page_request::PageRequest;
pub use peer::Peer;
pub use rate_limit::Rate;
pub use response_body::ResponseBody;
pub use server::Server;
pub use service::{RegistryService, router};
pub use tag_locks::TagGuard;
pub use test_server::TestServer;
#[cfg(feature = "tls")]
pub use tls::Tls;
pub use via::ServerName;
