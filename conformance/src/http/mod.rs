//! Registries over HTTP that misbehave: a wrapper that makes any server misbehave in named ways, and a proxy that
//! breaks connections.
//!
//! [`Quirky`] wraps a registry as a [`tower_service::Service`], and switches on one [`Quirk`] or
//! several. A client that claims to be right on every registry runs the scenarios against each of
//! them:
//!
//! ```
//! use tranship_conformance::Suite;
//! use tranship_conformance::http::{Quirk, Quirky};
//! # use std::sync::Arc;
//! # use tranship_conformance::Fixture;
//! # use tranship_memory::MemoryRegistry;
//! # #[derive(Clone)] struct Server;
//! # fn serve(_: Quirky<Server>) -> MemoryRegistry { MemoryRegistry::new() }
//! # fn server() -> Server { Server }
//!
//! let suites = Quirk::ALL.iter().filter(|quirk| !quirk.is_lie()).map(|quirk| {
//!     Suite::new(format!("mine-with-{quirk}"), || async {
//!         let client = serve(Quirky::new(server(), [*quirk]));
//!         Ok(Fixture::registry(Arc::new(client)))
//!     })
//!     .with_groups(quirk.groups().iter().copied())
//! });
//! # assert!(suites.count() > 40);
//! ```
//!
//! [`FaultProxy`] stands between a client and a server on loopback and lets each connection fail at a
//! byte that is chosen: by a reset, an early end, a stall, or a flipped bit.

mod body;
mod listings;
mod proxy;
mod quirk;
mod quirks;
mod quirky;
mod request_info;
mod requests;
mod responses;
mod tokens;

pub use body::QuirkyBody;
pub use proxy::{Fault, FaultProxy, Traffic, Way};
pub use quirk::Quirk;
pub use quirky::{PASSWORD, Quirky, USER};
