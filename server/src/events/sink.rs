//! Where events go.

use std::fmt;

use super::event::{Event, EventCause};

/// Takes the events of a server: [`ServerOptions::with_events`](crate::ServerOptions::with_events) sets it.
///
/// The crate `tranship-webhooks` has a sink that sends events over HTTP. A program that embeds the server can have its
/// own:
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use tranship_memory::MemoryRegistry;
/// use tranship_server::{Event, EventCause, EventSink, ServerOptions, router};
///
/// #[derive(Debug, Default)]
/// struct Recent(Mutex<Vec<Event>>);
///
/// impl EventSink for Recent {
///     fn record(&self, _: &EventCause, events: Vec<Event>) {
///         if let Ok(mut recent) = self.0.lock() {
///             recent.extend(events);
///             let excess = recent.len().saturating_sub(100);
///             recent.drain(..excess);
///         }
///     }
/// }
///
/// let options = ServerOptions::default().with_events(Arc::new(Recent::default()));
/// let service = router(Arc::new(MemoryRegistry::new()), options);
/// # drop(service);
/// ```
pub trait EventSink: Send + Sync + fmt::Debug {
    /// Takes the events of one request, at least one.
    ///
    /// The request waits for this, so it must not block: no I/O, and no lock that is held for long.
    fn record(&self, cause: &EventCause, events: Vec<Event>);

    /// Returns the state of each receiver of events, for `/metrics`: always of the same receivers, in the same order.
    /// By default there are none.
    fn receivers(&self) -> Vec<ReceiverState> {
        Vec::new()
    }
}

/// What has become of the events for one receiver.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReceiverState {
    /// How many events the receiver has accepted.
    pub delivered: u64,
    /// How many attempts have failed.
    pub failed: u64,
    /// How many events were given up, because the queue was full or the receiver did not accept them.
    pub dropped: u64,
    /// How many events wait.
    pub queued: u64,
}
