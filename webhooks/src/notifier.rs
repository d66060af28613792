//! The sink of events that sends them.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::future::{join, join_all};
use tokio::sync::watch;
use tranship::{Error, ErrorKind, Result, blocking};
use tranship_server::{Event, EventCause, EventSink, ReceiverState};

use crate::delivery;
use crate::endpoint::Endpoint;
use crate::format::{Message, ServerIdentity};
use crate::options::NotifierOptions;
use crate::outbox::Outbox;
use crate::queue::{Item, Store};

/// Sends the events of a server to endpoints.
///
/// It is the sink of the server's events, and [`run`](Self::run) delivers them. Clones share everything.
#[derive(Debug, Clone)]
pub struct Notifier(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    outboxes: Vec<Outbox>,
    server: RwLock<Arc<ServerIdentity>>,
    requests: AtomicU64,
    client: reqwest::Client,
}

impl Notifier {
    /// Opens the queues. Events that earlier processes could not deliver are delivered first; those of endpoints that
    /// are not in the options are dropped.
    ///
    /// # Errors
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if two endpoints have the same URL.
    /// - [`Conflict`](ErrorKind::Conflict) if another process uses the directory.
    /// - [`Unsupported`](ErrorKind::Unsupported) if the process does not have a TLS provider (rustls).
    /// - [`Io`](ErrorKind::Io) and others if the directory cannot be used.
    pub async fn open(options: NotifierOptions) -> Result<Self> {
        let mut urls = HashSet::new();
        for (position, endpoint) in options.endpoints.iter().enumerate() {
            if !urls.insert(endpoint.url()) {
                let message = format!("webhook[{position}] has the URL of an earlier webhook");
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        }
        let client = delivery::client()?;
        let mut instance = [0; 16];
        getrandom::fill(&mut instance).map_err(|error| {
            let message = "the system has no random numbers";
            Error::new(ErrorKind::Io, message).with_source(error.to_string())
        })?;
        let server = ServerIdentity {
            instance: format!("{:032x}", u128::from_be_bytes(instance)),
            address: options.address,
            public_url: options.public_url.as_deref().map(without_slash),
        };
        let (endpoints, max_size) = (options.endpoints, options.max_queue_size);
        let directory = options.directory;
        let outboxes = blocking::run(move || {
            let store = Store::open(directory.as_deref())?;
            let dropped = store.retain(endpoints.iter().map(Endpoint::url))?;
            if dropped > 0 {
                tracing::warn!("{dropped} events for former webhooks are dropped");
            }
            let endpoints = endpoints.into_iter().enumerate();
            let outboxes = endpoints.map(|(position, endpoint)| {
                let queue = store.queue(endpoint.url(), max_size)?;
                Ok(Outbox::new(position, endpoint, queue))
            });
            outboxes.collect::<Result<Vec<_>>>()
        });
        Ok(Self(Arc::new(Shared {
            outboxes: outboxes.await?,
            server: RwLock::new(Arc::new(server)),
            requests: AtomicU64::new(0),
            client,
        })))
    }

    /// Sets the URL at which clients reach the server, for the events from now on.
    pub fn set_public_url(&self, url: Option<&str>) {
        let mut server = self
            .0
            .server
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut server).public_url = url.map(without_slash);
    }

    /// Stores and delivers events until `stop` completes. Then it stores the events that have arrived, and returns.
    /// Call it once.
    ///
    /// Dropping the future loses the events of the last moments, which were not stored yet. Events that were delivered
    /// in these moments may be delivered again.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let (sender, receiver) = watch::channel(false);
        let outboxes = self.0.outboxes.iter();
        let running = outboxes.map(|outbox| outbox.run(&self.0.client, receiver.clone()));
        let stopping = async {
            stop.await;
            // Fails without endpoints.
            let _ = sender.send(true);
        };
        join(join_all(running), stopping).await;
    }
}

fn without_slash(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

impl EventSink for Notifier {
    fn record(&self, cause: &EventCause, events: Vec<Event>) {
        let Shared {
            outboxes,
            server,
            requests,
            ..
        } = &*self.0;
        let server = Arc::clone(&server.read().unwrap_or_else(PoisonError::into_inner));
        let request_id = cause.request.clone().unwrap_or_else(|| {
            let number = requests.fetch_add(1, Ordering::Relaxed);
            format!("{}-{number}", server.instance)
        });
        for (number, event) in events.iter().enumerate() {
            let id = format!("{request_id}-{number}");
            let message = Message {
                id: &id,
                request_id: &request_id,
                cause,
                event,
                server: &server,
            };
            let is_wanted = |outbox: &&Outbox| outbox.endpoint().filter.accepts(event);
            for outbox in outboxes.iter().filter(is_wanted) {
                let format = outbox.endpoint().format;
                match format.encode(&message) {
                    Ok(body) => outbox.push(Item {
                        id: id.clone(),
                        time: cause.time,
                        format,
                        body,
                    }),
                    Err(error) => tracing::error!(%error, "an event is lost"),
                }
            }
        }
    }

    fn receivers(&self) -> Vec<ReceiverState> {
        self.0.outboxes.iter().map(Outbox::state).collect()
    }
}
