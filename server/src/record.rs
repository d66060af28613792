//! What is written down of a request, when it is over: a line of the access log, and counts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::header::USER_AGENT;
use http::request::Parts;
use http::{Method, StatusCode};

use crate::endpoint::Endpoint;
use crate::metrics::{Metrics, Outcome};

/// Where a request came from; [`Server`](crate::Server) puts it among the request's extensions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) SocketAddr);

/// One request, from its head to the last byte of the answer, or until the client hangs up. Written
/// down when it is dropped.
///
/// It goes with the answer's body, so that its length and its end are those that the client saw.
#[derive(Debug)]
pub(crate) struct Record {
    metrics: Arc<Metrics>,
    endpoint: Endpoint,
    method: Method,
    status: Option<StatusCode>,
    received: Arc<AtomicU64>,
    sent: u64,
    is_complete: bool,
    started: Instant,
    log: Option<Log>,
}

#[derive(Debug)]
struct Log {
    path: String,
    user: Option<String>,
    client: Option<SocketAddr>,
    agent: Option<String>,
}

impl Record {
    /// Begins with the head of a request. Neither parameters nor ids of uploads are written down:
    /// who knows an id may write to the upload.
    pub(crate) fn begin(
        metrics: &Arc<Metrics>,
        request: &Parts,
        received: Arc<AtomicU64>,
    ) -> Box<Self> {
        metrics.begin();
        let is_logged = tracing::enabled!(target: "tranship_server::access", tracing::Level::INFO);
        Box::new(Self {
            metrics: Arc::clone(metrics),
            endpoint: Endpoint::Other,
            method: request.method.clone(),
            status: None,
            received,
            sent: 0,
            is_complete: false,
            started: Instant::now(),
            log: is_logged.then(|| Log::of(request)),
        })
    }

    pub(crate) fn is_for(&mut self, endpoint: Endpoint) {
        self.endpoint = endpoint;
    }

    pub(crate) fn is_by(&mut self, user: Option<&str>) {
        if let Some(log) = &mut self.log {
            log.user = user.map(ToOwned::to_owned);
        }
    }

    pub(crate) fn is_answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    pub(crate) fn sends(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    pub(crate) fn completes(&mut self) {
        self.is_complete = true;
    }
}

impl Log {
    fn of(request: &Parts) -> Self {
        let path = request.uri.path();
        let path = match path.rsplit_once("/blobs/uploads/") {
            Some((before, id)) if !id.is_empty() && !id.contains('/') => {
                format!("{before}/blobs/uploads/…")
            }
            _ => path.to_owned(),
        };
        let agent = request.headers.get(USER_AGENT);
        Self {
            path,
            user: None,
            client: request
                .extensions
                .get()
                .map(|ClientAddress(client)| *client),
            agent: agent.and_then(|agent| agent.to_str().ok()).map(Into::into),
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let outcome = Outcome {
            endpoint: self.endpoint,
            method: &self.method,
            status: self.status,
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent,
            took: self.started.elapsed(),
        };
        self.metrics.end(&outcome);
        let Some(log) = &self.log else { return };
        tracing::info!(
            target: "tranship_server::access",
            client = log.client.map(tracing::field::display),
            user = log.user,
            method = %self.method,
            path = log.path,
            status = self.status.map(|status| status.as_u16()),
            complete = self.is_complete,
            received = outcome.received,
            sent = outcome.sent,
            microseconds = u64::try_from(outcome.took.as_micros()).unwrap_or(u64::MAX),
            agent = log.agent,
        );
    }
}
