//! Sends the events of a [`tranship_server`] over HTTP: webhooks.
//!
//! A [`Notifier`] is the [`EventSink`](tranship_server::EventSink) of a server. It keeps the events for each
//! [`Endpoint`] in a queue on disk, and [`Notifier::run`] delivers them in their order: in the format of
//! distribution's notifications, or as CloudEvents, signed if the endpoint has a secret.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use tranship_memory::MemoryRegistry;
//! use tranship_server::{Server, ServerOptions, router};
//! use tranship_webhooks::{Endpoint, Notifier, NotifierOptions};
//!
//! # async fn serve() -> tranship::Result<()> {
//! let endpoint = Endpoint::new("https://ci.example/registry-events")?;
//! let options = NotifierOptions::default()
//!     .with_endpoint(endpoint)
//!     .with_directory("/var/lib/registry/webhooks");
//! let notifier = Notifier::open(options).await?;
//!
//! let events = Arc::new(notifier.clone());
//! let options = ServerOptions::default().with_events(events);
//! let service = router(Arc::new(MemoryRegistry::new()), options);
//! let server = Server::bind("127.0.0.1:5000", service).await?;
//! let stop = std::future::pending();
//! futures_util::future::join(server.run(stop), notifier.run(std::future::pending())).await;
//! # Ok(())
//! # }
//! ```
//!
//! # Delivery
//! An event is delivered at least once. Its id stays the same when it is sent again, so that a receiver can recognise
//! one that it has seen. A request to the server never waits for a receiver or for the disk: events are written to the
//! queue shortly after the response, and those of the last moments are lost if the process is killed.
//!
//! Everything here needs a tokio runtime with I/O and timers enabled.

mod delivery;
mod endpoint;
mod filter;
mod format;
mod notifier;
mod options;
mod outbox;
mod queue;
mod retry;
mod secret;

pub use endpoint::Endpoint;
pub use filter::EventFilter;
pub use format::EventFormat;
pub use notifier::Notifier;
pub use options::NotifierOptions;
pub use retry::RetryOptions;
pub use secret::Secret;
